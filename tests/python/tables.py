"""Reads an export with pandas and the result file with h5py: they must hold the same bits. tables.py RESULT.h5 FOLDER"""

import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

result, folder = h5py.File(sys.argv[1]), Path(sys.argv[2])


def table(name):
    return pd.read_csv(folder / f"{name}.csv", float_precision="round_trip")


def same(columns, group, names, units):
    for name, unit in zip(names, units):
        header = name if unit == "-" else f"{name} [{unit}]"
        assert np.array_equal(columns[header].to_numpy(float), group[name][0], equal_nan=True), header


generations = result["generations"]
names = [name.decode() for name in generations["parameter"][()]]
units = [unit.decode() for unit in generations["parameter_unit"][()]]
same(table("posterior"), result["posterior"], names, units)
same(table("prior"), result["prior"], names, units)

particles = table("particles")
for number in generations["generation"][()]:
    group, own = generations[f"{number:04}"], particles[particles.generation == number]
    headers = [name if unit == "-" else f"{name} [{unit}]" for name, unit in zip(names, units)]
    assert np.array_equal(own[headers].to_numpy(), group["theta"][()]), number
    assert np.array_equal(own["distance"], group["distance"][()])
    assert abs(own["weight"].sum() - 1) < 1e-9
assert np.isinf(table("generations")["tolerance"][0])

# Tidy: one line turns it into draws by rows, in the order of the file.
predictions = table("predictions").query("sample == 'posterior'")
wide = predictions.pivot(index="draw", columns="row", values="value")
rows = [row.decode() for row in result["observed_data/row"][()]]
assert np.array_equal(wide[rows].to_numpy(), result["posterior_predictive/value"][0], equal_nan=True)
observed = table("observed").set_index("row")
assert np.array_equal(observed.loc[rows, "value"], result["observed_data/value"][()], equal_nan=True)

# Every column of every table is explained, and no other.
explained = table("columns")
for file in sorted(folder.glob("*.csv")):
    if file.name != "columns.csv":
        assert list(pd.read_csv(file, nrows=0).columns) == list(explained[explained.file == file.name].column), file
        assert file.name in (folder / "README.txt").read_text(), file
print(f"{sys.argv[2]}: good")
