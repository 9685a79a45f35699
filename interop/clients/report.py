"""Reads the workbook that a DMTF validator leaves and prints, as JSON, how many
results there are of each kind and what the FAIL and WARN rows say."""

import collections
import json
import sys

import openpyxl

rows = openpyxl.load_workbook(sys.argv[1], read_only=True)["Results"].iter_rows(values_only=True)
head = next(rows)
result = head.index("Result")
counts = collections.Counter()
bad = []
for row in rows:
    counts[row[result]] += 1
    if row[result] in ("FAIL", "WARN"):
        bad.append(" | ".join(str(cell) for cell in row if cell is not None))
print(json.dumps({"counts": counts, "bad": bad}))
