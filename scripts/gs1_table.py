#!/usr/bin/env python3
"""Writes daemon/core/src/scan/dictionary.rs from the GS1 Barcode Syntax Dictionary.

    scripts/gs1_table.py gs1-syntax-dictionary.txt >daemon/core/src/scan/dictionary.rs

The dictionary is published at https://ref.gs1.org/tools/gs1-barcode-syntax-resource/syntax-dictionary/ (Apache-2.0).
A .json file with the same rows under "dictionary" is taken as well. Run it when GS1 publishes a release.
"""
import json
import re
import sys

FLAGS = "*?!\"$%&'()+,-./:;<=>@[\\]^_`{|}~"


def rows(path):
    text = open(path, encoding="utf-8").read()
    if path.endswith(".json"):
        data = json.loads(text)
        for row in data["dictionary"]:
            flags = "*" * row["predefined_length"] + "?" * row["dl_attribute"]
            yield row["ai"], row["ai_to"], flags, " ".join(row["spec"]), " ".join(row["attrs"])
        return
    for line in text.splitlines():
        line = line.split("#")[0].strip()
        if not line:
            continue
        ais, *rest = line.split()
        first, _, last = ais.partition("-")
        flags = rest.pop(0) if rest and all(c in FLAGS for c in rest[0]) else ""
        spec = [part for part in rest if re.match(r"\[?[NXYZ][0-9.]", part)]
        rules = [part for part in rest if part not in spec]
        yield first, last or first, "".join(c for c in flags if c in "*?"), " ".join(spec), " ".join(rules)


print("""//! The GS1 Barcode Syntax Dictionary, release 2026-01-27, as scripts/gs1_table.py writes it. Copyright GS1 AISBL, Apache-2.0.

use super::ais::{Ai, row};

/// First and last identifier of the row, flags, components with their checks, rules; in order of the identifiers.
pub(crate) const DICTIONARY: &[Ai] = &[""")
for row in rows(sys.argv[1]):
    print("    row(" + ", ".join(json.dumps(part) for part in row) + "),")
print("];")
