"""Opens a result file with the packages that its users have, and fails if anything is missing or wrong.

    pip install -r tests/python/requirements.txt
    python tests/python/open_file.py run.h5

Readers: h5py, netCDF4, xarray (each group with both engines, and the whole as a tree), ArviZ. A run that has not
finished is checked as far as it has come.
"""

import json
import sys
import warnings

import arviz
import h5netcdf
import h5py
import netCDF4
import numpy as np
import xarray

problems = []


def check(condition, problem):
    if not condition:
        problems.append(problem)
        print(f"  WRONG: {problem}")


def with_h5py(path):
    """Every dataset is read; scales are attached; every variable says what it is. Returns the paths of all groups."""
    groups = []
    with h5py.File(path) as file:
        check(file.attrs["format"] == "nicho-run/1", "root attribute format")
        check(file.attrs["status"] in ("running", "finished"), "root attribute status")
        check(len(file.attrs["inference_digest"]) == 64, "root attribute inference_digest")
        for name in ("title", "Conventions", "created_by", "random_numbers", "stop_reason"):
            check(isinstance(file.attrs.get(name), str), f"root attribute {name}")

        def visit(name, item):
            if isinstance(item, h5py.Group):
                groups.append(name)
                check("description" in item.attrs, f"/{name} has no description")
                return
            item[()]
            check("long_name" in item.attrs, f"/{name} has no long_name")
            if item.is_scale:
                return
            for axis, dimension in enumerate(item.dims):
                check(len(dimension.keys()) == 1, f"/{name}: axis {axis} has no scale")
                check(len(dimension[0]) == item.shape[axis], f"/{name}: axis {axis} has a scale of another length")

        file.visititems(visit)
        print(f"h5py {h5py.__version__} (HDF5 {h5py.version.hdf5_version}): {len(groups)} groups, status {file.attrs['status']}")
    return groups


def with_netcdf4(path, groups):
    with netCDF4.Dataset(path) as file:
        for name in groups:
            for variable in file[name].variables.values():
                variable[...]
                check(len(variable.dimensions) == len(variable.shape), f"netCDF4: dimensions of {name}/{variable.name}")
                for dimension in variable.dimensions:
                    check(not dimension.startswith("phony"), f"netCDF4: {name}/{variable.name} has a nameless dimension")
        check(file["job"]["text"][...] == xarray.open_dataset(path, group="job").text.item(), "netCDF4: job text")
    print(f"netCDF4 {netCDF4.__version__} (netCDF-C {netCDF4.__netcdf4libversion__}): opened")


def with_xarray(path, groups):
    for engine in ("netcdf4", "h5netcdf"):
        for name in groups:
            with xarray.open_dataset(path, group=name, engine=engine) as data:
                data.load()
                check(not any(str(d).startswith("phony") for d in data.dims), f"{engine}: {name} has a nameless dimension")
                check(all(d in data.coords for d in data.dims), f"{engine}: {name} has a dimension without coordinate")
        with xarray.open_datatree(path, engine=engine) as tree:
            tree.load()
            check({n.lstrip("/") for n in tree.groups} >= set(groups), f"{engine}: the tree lacks a group")
    print(f"xarray {xarray.__version__}, h5netcdf {h5netcdf.__version__}: {len(groups)} groups and the tree, both engines")


def finite(data, names, where):
    for name in names:
        check(bool(np.isfinite(data[name]).all()), f"{where}/{name} is not finite")


def contents(path):
    """What must be in the groups, whatever the reader."""
    tree = xarray.open_datatree(path)
    check({"generations", "job", "provenance", "constant_data"} <= set(tree.children), "a group that every run has is missing")
    generations = tree["generations"]
    parameters = [str(p) for p in generations.parameter.values]
    check(len(parameters) > 0, "no parameters")
    check(generations.observed.dims == ("summary",), "dimensions of generations/observed")
    for name, value in tree["constant_data"].data_vars.items():
        check(value.ndim == 0 and "units" in value.attrs, f"constant_data/{name}")
    json.loads(tree["job"].canonical.item())
    check(isinstance(tree["job"]["text"].item(), str), "job/text")
    for record in tree["provenance"].to_dataset().get("record", xarray.DataArray([])).values:
        json.loads(record)
    tolerance = None
    for index in range(generations.sizes["generation"]):
        one = tree[f"generations/{index:04d}"]
        check(one.theta.dims == ("particle", "parameter"), f"dimensions of generation {index}")
        check(one.summaries.dims == ("particle", "summary"), f"dimensions of the summaries of generation {index}")
        finite(one, ["theta", "summaries", "distance"], f"generations/{index:04d}")
        check(tolerance is None or one.attrs["tolerance"] <= tolerance, f"the tolerance rises in generation {index}")
        check(float((one.distance - one.attrs["tolerance"]).max()) <= 0, f"generation {index} exceeds its tolerance")
        tolerance = one.attrs["tolerance"]
    if generations.sizes["generation"]:
        population = tree["population"]
        finite(population, parameters + ["weight"], "population")
        check(abs(float(population.weight.sum()) - 1) < 1e-9, "the weights of the population do not sum to 1")
        last = tree[f"generations/{generations.sizes['generation'] - 1:04d}"]
        for index, name in enumerate(parameters):
            check("units" in population[name].attrs, f"population/{name} has no units")
            check(np.array_equal(population[name], last.theta[:, index]), f"population/{name} is not the last generation")
    if "posterior" in tree.children:
        check({"sample_stats", "posterior_predictive", "population"} <= set(tree.children), "a group that goes with /posterior is missing")
    check(("prior" in tree.children) == ("prior_predictive" in tree.children), "prior and prior_predictive go together")
    for predictive in ("prior_predictive", "posterior_predictive"):
        if predictive in tree.children and "value" in tree[predictive].data_vars:
            value = tree[predictive]["value"]
            check(value.dims == ("chain", "draw", "row"), f"dimensions of {predictive}")
            check(bool((value.row == tree["observed_data"].row).all()), f"rows of {predictive}")
    if "observed_data" in tree.children:
        words = ("endpoint", "kind") if "iris" in tree.attrs["title"] else ()
        for name in ("value", "se", "n", "month", "role", *words):
            check(tree["observed_data"][name].dims == ("row",), f"dimensions of observed_data/{name}")
    print(f"contents: {len(parameters)} parameters, {generations.sizes['generation']} generations, {list(tree.children)}")
    return parameters, tree


def with_arviz(path, parameters, tree):
    data = arviz.from_netcdf(path)
    filled = {name for name, child in tree.children.items() if child.variables}  # ArviZ leaves empty groups out
    check(set(data.groups()) >= filled, f"ArviZ sees {data.groups()}")
    print(f"ArviZ {arviz.__version__}: {data.groups()}")
    if "posterior" not in data.groups():
        check(tree.attrs["status"] == "running", "a finished run without posterior")
        return
    posterior = data.posterior
    check(list(posterior.data_vars) == parameters, "variables of the posterior")
    check(posterior.sizes["chain"] == 1, "the posterior has one chain")
    check(posterior.sizes["draw"] == data.sample_stats.sizes["draw"], "draws of the posterior and of sample_stats")
    finite(posterior, parameters, "posterior")
    particle = data.sample_stats.particle.values[0].astype(int)
    for name in parameters:
        check(posterior[name].dims == ("chain", "draw"), f"dimensions of posterior/{name}")
        check("units" in posterior[name].attrs and "long_name" in posterior[name].attrs, f"attributes of posterior/{name}")
        picked = tree["population"][name].values[particle]
        check(np.array_equal(posterior[name].values[0], picked), f"posterior/{name} is not drawn from the population")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one chain: no R-hat
        print(arviz.summary(data, group="posterior", kind="stats").to_string())


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    path = sys.argv[1]
    groups = with_h5py(path)
    with_netcdf4(path, groups)
    with_xarray(path, groups)
    parameters, tree = contents(path)
    with_arviz(path, parameters, tree)
    if problems:
        sys.exit(f"{path}: {len(problems)} problems, the first: {problems[0]}")
    print(f"{path}: good")


main()
