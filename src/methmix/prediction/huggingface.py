"""The card of a published model: README.md with the YAML head that the Hugging Face Hub reads."""

from typing import Any

import yaml

from methmix.prediction.card import card_text

_TAGS = ["biology", "dna-methylation", "cell-free-dna", "deconvolution", "tissue-of-origin"]
_NOT_STATED = "not stated (`reference.terms_of_use`): ask those who own the data of the reference before you share it"


def readme(card: dict[str, Any]) -> str:
    """Write the card of a model, as `methmix.prediction.card.model_card` collects it, in Markdown."""
    terms = card["terms"]
    # The Hub knows licences by their SPDX identifiers in lower case.
    licence = (terms["licence"] or "other").lower()
    named = {"license_name": "terms-of-use-of-the-reference"} if licence == "other" else {}
    head = {"license": licence, **named, "library_name": "methmix", "pipeline_tag": "tabular-regression", "tags": _TAGS}
    tissues = ", ".join(card["tissues"])
    return f"""---
{yaml.safe_dump(head, sort_keys=False)}---

# methmix: {len(card["tissues"])} tissues, {card["regions"]["number"]:,} regions of {card["regions"]["genome"]}

Estimates from DNA methylation which of these tissues a mixture of DNA, such as cell-free DNA, comes from, and in which
proportions: {tissues}.

**{card["statement"]}**

## Who may use it

{terms["terms_of_use"] or _NOT_STATED}

## Use

```bash
pip install 'methmix[publish]'
methmix prediction --checkpoint FOLDER --samples FILE --output predictions.csv
```

`FOLDER` is this one: `model.safetensors` has weights and regions, `config.json` all else. Samples are counted over the
model's regions; what can be read, and all options: `methmix prediction --help`.

## Card

```text
{card_text(card).strip()}
```
"""
