#!/usr/bin/env bash
# A small real SLURM on this machine's loopback, for tests: one controller, five nodes, fake GPUs.
#   cluster.sh start FOLDER     munge, slurmctld and a slurmd per node; everything they write lies in FOLDER
#   cluster.sh stop FOLDER      ends them by their process ids
#   cluster.sh lose FOLDER NODE     a node stops answering; what runs on it runs on, as when a network is cut
#   cluster.sh restore FOLDER NODE
#   cluster.sh restart-controller FOLDER
# With CLUSTER_CPUS=n it is the smallest one: a node of n CPUs, a partition, no GPU.
# Needs root, and no /etc/slurm/slurm.conf but its own: job steps drop SLURM_CONF, so that is where they look.
set -euo pipefail

CONF=/etc/slurm/slurm.conf
NODES=(cpu01 gpu01 gpu02 gpu03 gpu04)
CPUS=${CLUSTER_CPUS:-32} MEMORY=64000
if [ -n "${CLUSTER_CPUS:-}" ]; then NODES=(cpu01) MEMORY=12000; fi

configure() {
    local folder=$1 port=$2 host
    host=$(hostname -s)
    cat > "$folder/slurm.conf" << END
# methmix test cluster
ClusterName=methmix
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
# A requeued job waits until its old credential has expired: 120 s by default.
AuthInfo=socket=$folder/munge.socket,cred_expire=5
SlurmctldPort=$port
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd-%n.pid
SlurmdSpoolDir=$folder/spool-%n
StateSaveLocation=$folder/state
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=bf_interval=2,sched_interval=2,batch_sched_delay=0
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
SlurmdTimeout=8
# Jobs that have ended can be asked about until the tests end.
MinJobAge=3600
# For a machine on which everything takes four times as long as usual.
KillWait=15
MessageTimeout=60
# One machine plays all nodes; it need not have what they claim.
SlurmdParameters=config_overrides
PartitionName=cpu Nodes=cpu01 Default=YES
END
    [ ${#NODES[@]} -eq 1 ] || cat >> "$folder/slurm.conf" << END
PartitionName=gpu Nodes=gpu01,gpu02
# What may be taken away lies apart, so that tests of it do not disturb others.
PartitionName=spot Nodes=gpu03,gpu04 PriorityTier=1 PreemptMode=REQUEUE GraceTime=10
PartitionName=urgent Nodes=gpu03,gpu04 PriorityTier=10 PreemptMode=OFF
END
    local number=0 node
    for node in "${NODES[@]}"; do
        number=$((number + 1))
        echo "NodeName=$node NodeHostname=$host NodeAddr=127.0.0.1 Port=$((port + number)) CPUs=$CPUS RealMemory=$MEMORY" \
            "$([ "$node" = cpu01 ] || echo Gres=gpu:a100:4)" >> "$folder/slurm.conf"
    done
    : > "$folder/gres.conf"
    [ ${#NODES[@]} -eq 1 ] || cat > "$folder/gres.conf" << END
NodeName=gpu0[1-4] Name=gpu Type=a100 File=/dev/null
NodeName=gpu0[1-4] Name=gpu Type=a100 File=/dev/zero
NodeName=gpu0[1-4] Name=gpu Type=a100 File=/dev/full
NodeName=gpu0[1-4] Name=gpu Type=a100 File=/dev/random
END
}

# The controller's port and those of the nodes after it.
free_ports() {
    python3 - << 'END'
import socket
for port in range(17000, 30000, 10):
    try:
        for offset in range(6):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port + offset))
    except OSError:
        continue
    print(port)
    break
END
}

wait_until() {
    local seconds=$1
    shift
    for _ in $(seq $((seconds * 5))); do
        "$@" > /dev/null 2>&1 && return
        sleep 0.2
    done
    echo "error: not within $seconds s: $*" >&2
    return 1
}

all_idle() {
    [ "$(sinfo --noheader --Node --format='%N %t' | sort -u | grep -c ' idle$')" = ${#NODES[@]} ]
}

start() {
    local folder=$1 node
    [ "$(id -u)" = 0 ] || { echo "error: starting a SLURM needs root" >&2; exit 2; }
    if [ -e $CONF ] && ! grep -q "methmix test cluster" $CONF; then
        echo "error: $CONF is another cluster's; it is left alone" >&2
        exit 2
    fi
    if kill -0 "$(cat "$(dirname "$(realpath $CONF)")/slurmctld.pid" 2> /dev/null)" 2> /dev/null; then
        echo "error: the test cluster of another test run is up, $(realpath $CONF)" >&2
        exit 2
    fi
    mkdir -p "$folder/state" /etc/slurm
    for node in "${NODES[@]}"; do mkdir -p "$folder/spool-$node"; done
    configure "$folder" "$(free_ports)"
    ln -sf "$folder/slurm.conf" $CONF
    ln -sf "$folder/gres.conf" /etc/slurm/gres.conf
    head -c 1024 /dev/urandom > "$folder/munge.key"
    chmod 600 "$folder/munge.key"
    munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munge.pid" \
        --log-file="$folder/munge.log" --seed-file="$folder/munge.seed"
    slurmctld
    for node in "${NODES[@]}"; do slurmd -N "$node"; done
    wait_until 180 all_idle
}

end_process() {
    local pid
    pid=$(cat "$1" 2> /dev/null) || return 0
    kill "${2:--TERM}" "$pid" 2> /dev/null || return 0
    for _ in $(seq 50); do
        kill -0 "$pid" 2> /dev/null || return 0
        sleep 0.1
    done
    kill -KILL "$pid" 2> /dev/null || true
}

stop() {
    local folder=$1 node
    scancel --user=root --state=PENDING 2> /dev/null || true
    scancel --user=root --signal=KILL --full 2> /dev/null || true
    for node in "${NODES[@]}"; do end_process "$folder/slurmd-$node.pid"; done
    end_process "$folder/slurmctld.pid"
    end_process "$folder/munge.pid"
    if [ "$(readlink $CONF)" = "$folder/slurm.conf" ]; then rm -f $CONF /etc/slurm/gres.conf; fi
}

restart_controller() {
    end_process "$1/slurmctld.pid"
    slurmctld
    wait_until 180 scontrol ping
}

case "${1:-}" in
    start) start "$(realpath -m "$2")" ;;
    stop) stop "$(realpath -m "$2")" ;;
    lose) end_process "$2/slurmd-$3.pid" -KILL ;;
    restore) slurmd -N "$3" ;;
    restart-controller) restart_controller "$2" ;;
    *) sed -n '2,10p' "$0"; exit 2 ;;
esac
