"""One sample in every form that laboratories have: read to the same counts, as a sample and as a donor, or refused."""

import gzip
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pysam
import pytest
from unit.formats.read_both_ways import as_donor, as_sample

from methmix.errors import InputError
from methmix.formats.regions import RegionSet

N_REGIONS, LENGTH, CPGS = 40, 150, 9
CHROM = np.repeat(["chr1", "chr2"], N_REGIONS // 2)
START = 1_000_000 + 50_000 * (np.arange(N_REGIONS) % (N_REGIONS // 2))


class Cpg(NamedTuple):
    """A CpG, counted from 0: methylated and unmethylated reads of each strand, 5hmC of the plus strand."""

    chrom: str
    at: int
    plus: tuple[int, int]
    minus: tuple[int, int]
    hydroxy: int


def make_cpgs() -> list[Cpg]:
    rng = np.random.default_rng(5)
    made = []
    for number in range(N_REGIONS):
        level = 0.9 if number % 4 else 0.1
        # The first CpG begins with the region, the last one ends before it; one lies before it.
        for place in [-20, 0, *sorted(rng.choice(np.arange(4, LENGTH - 4, 4), CPGS - 2, replace=False)), LENGTH - 2]:
            (plus, minus), hydroxy = rng.binomial(10, level, 2), int(rng.integers(0, 2))
            chrom, at = str(CHROM[number]), int(START[number]) + int(place)
            made.append(
                Cpg(chrom, at, (int(plus), 10 - int(plus)), (int(minus), 10 - int(minus)), min(hydroxy, int(plus)))
            )
    return made


CPG_LIST = make_cpgs()


def regions(genome="hg38", modification="5mC+5hmC"):
    return RegionSet(CHROM.tolist(), START, START + LENGTH, genome, None, None, "cpg", modification=modification)


def expected(hydroxy=True):
    found = np.zeros((2, N_REGIONS), dtype=int)
    for cpg in CPG_LIST:
        inside = (cpg.chrom == CHROM) & (cpg.at >= START) & (cpg.at < START + LENGTH)
        methylated = cpg.plus[0] + cpg.minus[0] - (0 if hydroxy else cpg.hydroxy)
        found[:, inside] += np.array([[methylated], [sum(cpg.plus) + sum(cpg.minus)]])
    return found


def percent(reads):
    return f"{100 * reads[0] / max(sum(reads), 1):.4g}"


def coverage(first: int, span: int):
    """Lines of single cytosines, positions counted from ``first``, or of merged CpGs."""

    def line(cpg):
        if span == 2 or (first == 1 and span == 1):
            both = [cpg.plus[0] + cpg.minus[0], cpg.plus[1] + cpg.minus[1]]
            at = cpg.at + first
            return f"{cpg.chrom}\t{at}\t{at + span}\t{percent(both)}\t{both[0]}\t{both[1]}\n"
        return "".join(
            f"{cpg.chrom}\t{at + first}\t{at + first + span}\t{percent(reads)}\t{reads[0]}\t{reads[1]}\n"
            for at, reads in ((cpg.at, cpg.plus), (cpg.at + 1, cpg.minus))
        )

    return "".join(map(line, CPG_LIST))


def modkit(code="m", hydroxy=True, merged=False, sep="\t", motif=""):
    """BedMethyl of 18 columns; with ``h`` lines, and 5hmC among the other modifications of the ``m`` lines."""
    lines = []
    for cpg in CPG_LIST:
        other = cpg.hydroxy if hydroxy else 0
        strands = [(cpg.at, "+", *cpg.plus, other), (cpg.at + 1, "-", *cpg.minus, 0)]
        if merged:
            strands = [(cpg.at, ".", cpg.plus[0] + cpg.minus[0], cpg.plus[1] + cpg.minus[1], other)]
        for at, strand, methylated, unmethylated, others in strands:
            depth = methylated + unmethylated
            kinds = (
                [("h", others, methylated - others), (code, methylated - others, others)]
                if hydroxy
                else [(code, methylated, 0)]
            )
            for kind, modified, rest in kinds:
                head = [cpg.chrom, at, at + 1, kind + motif, depth, strand, at, at + 1, "255,0,0"]
                tail = [depth, f"{100 * modified / depth:.2f}", modified, unmethylated, rest, 1, 0, 0, 3]
                lines.append("\t".join(map(str, head)) + "\t" + sep.join(map(str, tail)) + "\n")
    return "".join(lines)


def encode(name=".", percent=10):
    return "".join(
        f"{cpg.chrom}\t{at}\t{at + 1}\t{name}\t10\t{strand}\t{at}\t{at + 1}\t0,0,0\t10\t{percent * reads[0]:g}\n"
        for cpg in CPG_LIST
        for at, strand, reads in ((cpg.at, "+", cpg.plus), (cpg.at + 1, "-", cpg.minus))
    )


def by_context(line, others=True):
    """Lines of both strands of each CpG, and cytosines of other contexts beside them."""
    text = ""
    for cpg in CPG_LIST:
        text += line(cpg.chrom, cpg.at, "+", cpg.plus, "CG", "CGA") + line(
            cpg.chrom, cpg.at + 1, "-", cpg.minus, "CG", "CGT"
        )
        if others:
            text += line(cpg.chrom, cpg.at + 2, "+", (0, 10), "CHG", "CAG") + line(
                cpg.chrom, cpg.at + 3, "-", (0, 9), "CHH", "CTT"
            )
    return text


def report_line(chrom, at, strand, reads, context, three):
    return f"{chrom}\t{at + 1}\t{strand}\t{reads[0]}\t{reads[1]}\t{context}\t{three}\n"


def allc_line(chrom, at, strand, reads, context, three):
    return f"{chrom}\t{at + 1}\t{strand}\t{three}\t{reads[0]}\t{sum(reads)}\t1\n"


def cgmap_line(chrom, at, strand, reads, context, three):
    base = "C" if strand == "+" else "G"
    return f"{chrom}\t{base}\t{at + 1}\t{context}\t{three[:2]}\t{reads[0] / sum(reads):.2f}\t{reads[0]}\t{sum(reads)}\n"


def pacbio(kinds=("Total",)):
    return "##pileup-mode=model\n#chrom\tbegin\tend\tmod_score\ttype\tcov\tmod\tunmod\tdisc\n" + "".join(
        f"{cpg.chrom}\t{cpg.at}\t{cpg.at + 1}\t50.1\t{kind}\t20\t{cpg.plus[0] + cpg.minus[0]}\t"
        f"{cpg.plus[1] + cpg.minus[1]}\t50.0\n"
        for cpg in CPG_LIST
        for kind in kinds
    )


def hg38_accessions(text):
    return text.replace("chr1\t", "NC_000001.11\t").replace("chr2\t", "NC_000002.12\t")


COV = coverage(1, 0)
HEADER_OF_COV = "chr\tstart\tend\tmethylation\tcount_methylated\tcount_unmethylated\n"
HEADER_OF_MODKIT = (
    "chrom\tchromStart\tchromEnd\tname\tscore\tstrand\tthickStart\tthickEnd\tcolor\tNvalid_cov\tpercent\t"
)
HEADER_OF_MODKIT += "Nmod\tNcanonical\tNother_mod\tNdelete\tNfail\tNdiff\tNnocall\n"
# Name of the form -> its text, and options that it needs.
FORMS = {
    "bismark": (COV, {}),
    "zero-based, a line for each strand": (coverage(0, 1), {}),
    "merged, from 0": (coverage(0, 2), {}),
    "merged, from 1": (coverage(1, 1), {}),
    "merged, from 0, as said": (coverage(0, 2), {"zero_based": True}),
    "MethylDackel with its track line": ('track type="bedGraph" description="x CpG"\n' + coverage(0, 1), {}),
    "separated by spaces": (COV.replace("\t", " "), {}),
    "separated by commas": (COV.replace("\t", ","), {}),
    "byte order mark": ("\ufeff" + COV, {}),
    "Windows": (COV.replace("\n", "\r\n"), {}),
    "header": (HEADER_OF_COV + COV, {}),
    "separator after the last column": (COV.replace("\n", "\t\n"), {}),
    "numbers of pandas": (COV.replace("\n", ".0\n"), {}),
    "numbers of R": (COV.replace("\t1000000\t", "\t1e+06\t"), {}),
    "no percentage without reads": ("chr1\t1000003\t1000003\tNA\t0\t0\n" + COV, {}),
    "comments": ("# made by\n#\n" + COV, {}),
    "without chr": (COV.replace("chr", ""), {}),
    "accessions": (hg38_accessions(COV), {}),
    "names of NCBI": (COV.replace("chr1\t", "gi|568336023|ref|NC_000001.11|\t"), {}),
    "pangenome": (COV.replace("chr", "GRCh38#0#chr"), {}),
    "modkit m and h": (modkit(), {}),
    "modkit h ignored": (modkit(hydroxy=False), {}),
    "modkit combined": (modkit("C", hydroxy=False), {}),
    "modkit, old delimiters": (modkit(sep=" "), {}),
    "modkit, strands combined": (modkit(merged=True), {}),
    "modkit, motif CG": (modkit(motif=",CG,0"), {}),
    "modkit, more motifs": (modkit(motif=",CG,0") + modkit("m", hydroxy=False, motif=",CHG,0"), {}),
    "modkit with a header": (HEADER_OF_MODKIT + modkit(), {}),
    "modkit, number of ChEBI": (modkit("27551"), {}),
    "ENCODE": (encode(), {}),
    "modbam2bed": (encode("5mC") + encode("6mA").replace("chr", "chrUn"), {}),
    "11 columns of both, 5mC alone": (encode("m") + encode("h"), {"modification": "5mC"}),
    "CX report": (by_context(report_line), {}),
    "CpG report": (by_context(report_line, others=False), {}),
    "allc": (by_context(allc_line), {}),
    "CX report with a header": ("chr\tpos\tstrand\tm\tu\tcontext\ttri\n" + by_context(report_line), {}),
    "CGmap": (by_context(cgmap_line), {}),
    "CGmap with unknown context": (by_context(cgmap_line) + "chr1\tC\t500\t--\t--\t0.5\t1\t2\n", {}),
    "pb-CpG-tools": (pacbio(), {}),
    "pb-CpG-tools with haplotypes": (pacbio(("Total", "hap1")), {}),
}
# What is refused -> its text, a genome, and what the message says.
REFUSED = {
    "hg19, behind an end": (
        COV + "chr1\t249239070\t249239070\t50\t1\t1\n",
        "hg38",
        r"behind the end.*248,956,422.*hg19",
    ),
    "accessions of hg19": (
        COV.replace("chr1\t", "NC_000001.10\t"),
        "hg38",
        "NC_000001.10 of hg19, the model is of hg38",
    ),
    "all reads in the last column": (
        "".join(
            "\t".join([*(f := line.split("\t"))[:5], str(int(f[4]) + int(f[5]))]) + "\n" for line in COV.splitlines()
        ),
        "hg38",
        r"line 3: .* its percentage is .*[\s\S]*number of all reads",
    ),
    "swapped": (
        "".join("\t".join([*(f := line.split("\t"))[:4], f[5], f[4]]) + "\n" for line in COV.splitlines()),
        "hg38",
        "swapped",
    ),
    "one contradiction": (
        COV + "chr2\t5000\t5000\t75\t3\t4\n",
        "hg38",
        r"line 801: chr2:5000: .* 75, but 3 .* 42.86 %",
    ),
    "few lines that may be either": (
        "".join(line + "\n" for line in coverage(1, 1).splitlines()[:90]),
        "hg38",
        "--zero-based",
    ),
    "bins": (COV + "chr1\t5\t55\t50\t1\t1\n", "hg38", "its end is 50 behind its start, in other lines 0"),
    "only h": (
        "".join(line + "\n" for line in modkit().splitlines() if "\th\t" in line),
        "hg38",
        "no line of code m .*it has h",
    ),
    "only CHG": (by_context(report_line).replace("\tCG\t", "\tCHG\t"), "hg38", "or of context CG; it has CHG, CHH"),
    "m and C": (modkit() + modkit("C"), "hg38", "code m and of code C"),
    "counts of modkit that do not add up": (
        modkit(hydroxy=False).replace("\t10\t0\t0\t1\t0\t0\t3\n", "\t10\t0\t1\t1\t0\t0\t3\n", 1),
        "hg38",
        "N_mod .* is not N_valid_cov",
    ),
    "fractions for percentages": (encode(percent=0.1), "hg38", "less than one read[\\s\\S]*multiply them by 100"),
    "11 columns of both": (encode("m") + encode("h"), "hg38", "5mC and of 5hmC[\\s\\S]*--modification 5mC"),
    "11 columns of 5hmC": (encode("h"), "hg38", "no line of code m .*it has h"),
    "MethylDackel, CHG": ('track description="x CHG"\n' + coverage(0, 1), "hg38", "other contexts than CpG.*x CHG"),
    "a track line without its end": ('track description="x CpG"' + coverage(0, 1), "hg38", "line 1: has a row behind"),
    "a header without its end": (pacbio().replace("disc\n", "disc"), "hg38", "line 2: has a row behind"),
    "rounded by a spreadsheet": (
        COV + "chr2\t1.05E+06\t1.05E+06\t0\t0\t1\n",
        "hg38",
        "line 801, column 2: .*1.05E.06.* a spreadsheet",
    ),
    "percent signs": (
        COV.replace("\t90\t", "\t90%\t").replace(COV.split("\t")[3], "9%", 1),
        "hg38",
        "column 4 .percent.*%'.*Bismark",
    ),
    "thousands separators": (
        COV.replace("\t1000", "\t1,000,").replace("\t999", "\t999,"),
        "hg38",
        "column 2 .start.*999,[\\s\\S]*thousands",
    ),
    "no strand": (
        by_context(report_line).replace("\t-\t", "\t.\t").replace("\t+\t", "\t.\t"),
        "hg38",
        "column 3 .strand.*cytosine report",
    ),
    "a header that contradicts": (
        "chr\tpos\tstrand\tm\tcoverage\tcontext\ttri\n" + by_context(report_line),
        "hg38",
        "columns of its own",
    ),
    "a comment that contradicts": (
        "#chr\tstart\tend\tname\tbeta\tstrand\tunmod\tmod\tno_snp\tsnp\tcoverage\n" + encode(),
        "hg38",
        "columns of its own",
    ),
    "a comment between the rows": (COV + "# next file\n" + COV, "hg38", "line 801: a comment between the rows"),
    "haplotypes without their sum": (pacbio(("hap1", "hap2")), "hg38", "types hap1, hap2"),
}


USES = pytest.mark.parametrize("use", [as_sample, as_donor])


def write(path: Path, text: str, packed: bool) -> Path:
    content = text.encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    return path


@USES
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_sample_has_the_same_counts(tmp_path, form, use):
    text, options = FORMS[form]
    # What is packed is seen in the content, not in the name.
    found, _ = use(write(tmp_path / "s.txt", text, packed=len(form) % 2 == 0), regions(), **options)
    np.testing.assert_array_equal(found, expected())


@USES
@pytest.mark.parametrize("what", REFUSED)
def test_what_contradicts_itself_is_refused(tmp_path, what, use):
    text, genome, message = REFUSED[what]
    with pytest.raises(InputError, match=message) as caught:
        use(write(tmp_path / "s.txt", text, packed=False), regions(genome))
    assert str(tmp_path / "s.txt") in str(caught.value)


@USES
def test_5hmc_counts_as_in_the_reference(tmp_path, use):
    path = write(tmp_path / "s.bed", modkit(), packed=False)
    for modification, words in (("5mC", "as unmethylated"), ("5mC+5hmC", "as methylated")):
        found, notes = use(path, regions(modification=modification))
        np.testing.assert_array_equal(found, expected(hydroxy="h" in modification))
        assert len(notes) == 1 and f"5hmC is counted {words}" in notes[0]
        np.testing.assert_array_equal(use(path, regions(), modification=modification)[0], found)
    combined = write(tmp_path / "c.bed", modkit("C", hydroxy=False), packed=False)
    with pytest.raises(InputError, match=r"5mC and 5hmC in one \(code C\)[\s\S]*without --combine-mods"):
        use(combined, regions(modification="5mC"))


@USES
@pytest.mark.parametrize(("form", "apart"), [
    ("bismark", False), ("CX report", False), ("allc", False), ("CGmap", False), ("pb-CpG-tools", True),
])  # fmt: skip
def test_a_file_of_bisulfite_has_no_5mc_alone(tmp_path, use, form, apart):
    path = write(tmp_path / "s.txt", FORMS[form][0], packed=False)
    found, notes = use(path, regions(modification="5mC"))
    np.testing.assert_array_equal(found, expected())
    assert any("does not distinguish 5hmC" in note for note in notes) is not apart
    assert not any("does not distinguish 5hmC" in note for note in use(path, regions())[1])


@pytest.mark.parametrize("share", [1.0, 0.3])
def test_cytosines_of_all_contexts_are_refused_at_any_depth(tmp_path, share):
    """Every second base is a cytosine; at 30 % of them, density alone does not show it."""
    rng = np.random.default_rng(3)
    lines = []
    for chrom, start in zip(CHROM, START, strict=True):
        for at in np.flatnonzero(rng.random(1000) < 0.45 * share):
            methylated = 9 if rng.random() < 0.1 else 0
            lines.append(f"{chrom}\t{start + at}\t{start + at}\t{methylated * 10}\t{methylated}\t{10 - methylated}\n")
    with pytest.raises(InputError, match=r"other contexts than CpG .*CHG, CHH"):
        as_sample(write(tmp_path / "s.cov", "".join(lines), packed=False), regions())


def test_one_strand_of_dense_islands_is_no_other_context(tmp_path):
    """CGCG on the plus strand is two bases apart, and with few lines of the minus strand rarely adjacent."""
    rng = np.random.default_rng(3)
    lines = []
    for chrom, start in zip(CHROM, START, strict=True):
        for at in range(0, 120, 2):
            if rng.random() < 0.6:
                lines.append(f"{chrom}\t{start + 1 + at}\t{start + 1 + at}\t100\t9\t0\n")
                if rng.random() < 0.05:
                    lines.append(f"{chrom}\t{start + 2 + at}\t{start + 2 + at}\t100\t9\t0\n")
    assert as_sample(write(tmp_path / "s.cov", "".join(lines), packed=False), regions())[0][1].sum() > 0


@pytest.mark.parametrize(
    ("text", "preset"),
    [
        (COV, {"start_col": 1, "end_col": 2}),
        (modkit(), {"preset": "bed"}),
        (by_context(report_line), {"start_col": 1, "end_col": 1}),
    ],
    ids=["coverage", "bedmethyl", "report"],
)
def test_with_an_index_the_same_is_read(tmp_path, text, preset):
    def indexed(name, content):
        lines = sorted(content.splitlines(), key=lambda line: (line.split("\t")[0], int(line.split("\t")[1])))
        plain, path = tmp_path / f"{name}.txt", tmp_path / f"{name}.gz"
        plain.write_text("\n".join(lines) + "\n")
        pysam.tabix_compress(str(plain), str(path), force=True)
        pysam.tabix_index(str(path), force=True, **({"seq_col": 0} if "preset" not in preset else {}), **preset)
        return path

    np.testing.assert_array_equal(as_sample(indexed("s", text), regions())[0], expected())
    if preset.get("end_col") == 2:
        beyond = text + "chr1\t249239070\t249239070\t50\t1\t1\n"
        with pytest.raises(InputError, match="behind the end"):
            as_sample(indexed("beyond", beyond), regions())
        # What is far from the regions is not read.
        odd = text + "chr1\t5000000\t5000000\t50\tx\t1\n"
        np.testing.assert_array_equal(as_sample(indexed("odd", odd), regions())[0], expected())
        with pytest.raises(InputError, match="is truncated"):
            path = indexed("cut", text)
            path.write_bytes(path.read_bytes()[:-40])
            as_sample(path, regions())
