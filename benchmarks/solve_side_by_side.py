#!/usr/bin/python3
"""`lariat solve` beside liblinear-train, and `lariat path` beside scikit-learn: ./run bench --solve.

The commands are run whole, in turns: start, reading, solving, writing the model. Both solve the same problem; what
each reached is computed from its own weights. Paths are timed without reading, on both sides, at the loosest tolerance
of scikit-learn's with which all of its solutions come within 1e-6 of the optimum; Lariat's are asked for a duality gap
of 1e-6, which is more than that.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

ACCURACY = 1e-6
TOLERANCES = [1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10]
DATA_SETS = ["a9a", "rcv1_small"]
PATHS = [("a9a", "squared"), ("rcv1_small", "squared"), ("rcv1_small", "logistic"), ("a9a", "logistic")]


def seconds_of(command):
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return time.perf_counter() - begin


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(": ")[1]
    return platform.processor()


def version(package):
    result = subprocess.run(["dpkg-query", "-W", "-f=${Version}", package], capture_output=True, text=True)
    return result.stdout or "not installed"


def load(path):
    from sklearn.datasets import load_svmlight_file

    return load_svmlight_file(str(path))


def logistic_objective(x, y, w, penalty):
    import numpy

    return numpy.logaddexp(0, -y * (x @ w)).sum() + penalty * numpy.abs(w).sum()


def squared_objective(x, y, w, penalty):
    import numpy

    return 0.5 * ((x @ w - y) ** 2).sum() + penalty * numpy.abs(w).sum()


def liblinear_weights(model, columns):
    import numpy

    lines = pathlib.Path(model).read_text().splitlines()
    labels = next(line for line in lines if line.startswith("label")).split()[1:]
    weights = numpy.array([float(line) for line in lines[lines.index("w") + 1 :]])[:columns]
    return weights if labels[0] == "1" else -weights


def compare_commands(lariat, file, rounds, folder):
    """One data set: L1-regularised logistic regression without a bias, C = 1."""
    model, figures = folder / "model", folder / "figures.json"
    sides = {
        "lariat": [lariat, "solve", "--data", str(file), "--loss", "logistic", "--penalty", "1.0*l1", "--quiet",
                   "--out", str(folder / "weights"), "--json", str(figures)],
        "liblinear": ["liblinear-train", "-q", "-s", "6", "-c", "1", "-B", "-1", "-e", "1e-9", str(file), str(model)],
    }
    seconds = {name: [] for name in sides}
    for _ in range(rounds):
        for name, command in sides.items():
            seconds[name].append(seconds_of(command))
    x, y = load(file)
    found = json.loads(figures.read_text())
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return {
        "case": f"solve {file.name}",
        "lariat_seconds": medians["lariat"],
        "other": "liblinear-train -e 1e-9",
        "other_seconds": medians["liblinear"],
        "ratio": medians["liblinear"] / medians["lariat"],
        "lariat_objective": found["objective"],
        "lariat_relative_gap": found["relative_gap"],
        "lariat_read_seconds": found["read_seconds"],
        "lariat_solve_seconds": found["seconds"],
        "other_objective": logistic_objective(x, y, liblinear_weights(model, x.shape[1]), 1.0),
        "rounds": rounds,
        "all_seconds": seconds,
    }


def fit_path(arguments):
    """A process of its own: fits scikit-learn along the λ of a JSON file, prints seconds and the worst excess."""
    import warnings

    import numpy
    from sklearn.linear_model import LogisticRegression, lasso_path

    warnings.filterwarnings("ignore")
    file, loss, tolerance, reference = arguments
    tolerance = float(tolerance)
    x, y = load(file)
    points = json.loads(pathlib.Path(reference).read_text())["points"]
    lambdas = numpy.array([point["lambda"] for point in points])
    if loss == "squared":
        # The dense form, with its precomputed Gram matrix, is the faster one for as few columns as a9a has.
        x = x.toarray() if x.shape[1] < 1000 else x.tocsc()
    begin = time.perf_counter()
    if loss == "squared":
        weights = lasso_path(x, y, alphas=lambdas / len(y), tol=tolerance, max_iter=1000000)[1].T
    else:
        weights = []
        for penalty in lambdas:
            model = LogisticRegression(penalty="l1", solver="liblinear", C=1 / penalty, fit_intercept=False,
                                       tol=tolerance, max_iter=1000000)
            weights.append(model.fit(x, y).coef_[0].copy())
    seconds = time.perf_counter() - begin
    objective = squared_objective if loss == "squared" else logistic_objective
    excess = max(objective(x, y, w, penalty) / point["objective"] - 1
                 for w, penalty, point in zip(weights, lambdas, points))
    print(json.dumps({"seconds": seconds, "excess": excess}))


def compare_paths(lariat, file, loss, rounds, folder):
    figures, reference = folder / "path.json", folder / "reference.json"
    command = [lariat, "path", "--data", str(file), "--loss", loss, "--quiet", "--json"]
    # To rounding; where that is not reached, what was is in the file all the same.
    subprocess.run(command + [str(reference), "--tolerance", "1e-9"], check=False, capture_output=True)

    def other(tolerance):
        worker = [sys.executable, __file__, "--fit-path", str(file), loss, str(tolerance), str(reference)]
        return json.loads(subprocess.run(worker, check=True, capture_output=True, text=True).stdout)

    tolerance, reached = next(
        ((t, r) for t in TOLERANCES if (r := other(t))["excess"] <= ACCURACY), (None, None))
    if tolerance is None:
        print(f"path {file.name} {loss}: scikit-learn does not reach {ACCURACY:g} with any tolerance", file=sys.stderr)
        return None
    lariat_seconds, other_seconds = [], []
    for _ in range(rounds):
        subprocess.run(command + [str(figures), "--tolerance", str(ACCURACY)], check=True, capture_output=True)
        found = json.loads(figures.read_text())
        lariat_seconds.append(found["seconds"])
        other_seconds.append(other(tolerance)["seconds"])
    name = "lasso_path" if loss == "squared" else "LogisticRegression(liblinear)"
    return {
        "case": f"path {file.name} {loss}",
        "lariat_seconds": statistics.median(lariat_seconds),
        "other": f"{name}, tol={tolerance:g}",
        "other_seconds": statistics.median(other_seconds),
        "ratio": statistics.median(other_seconds) / statistics.median(lariat_seconds),
        "lariat_relative_gap": found["largest_relative_gap"],
        "other_excess": reached["excess"],
        "rounds": rounds,
        "all_seconds": {"lariat": lariat_seconds, "other": other_seconds},
    }


def main():
    if sys.argv[1:2] == ["--fit-path"]:
        return fit_path(sys.argv[2:])
    parser = argparse.ArgumentParser(description="lariat solve and path beside liblinear and scikit-learn")
    parser.add_argument("lariat", help="the program")
    parser.add_argument("--rounds", type=int, default=11, help="runs of each side, in turns")
    parser.add_argument("--quick", action="store_true", help="three runs of each, and no logistic path of a9a")
    parser.add_argument("--json", help="write the figures to this file")
    options = parser.parse_args()
    data = os.environ.get("LARIAT_DATA")
    if not data:
        sys.exit("LARIAT_DATA names no folder with the data sets libsvm/a9a and libsvm/rcv1_small")
    folder = pathlib.Path(data) / "libsvm"
    machine = {
        "processor": processor(),
        "processors": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "liblinear": version("liblinear-tools"),
        "scikit_learn": version("python3-sklearn"),
    }
    print(f"{machine['processor']}, {machine['processors']} processors, load {machine['load_before']:.1f}; "
          f"liblinear {machine['liblinear']}, scikit-learn {machine['scikit_learn']}")
    print(f"{'case':<26} {'lariat':>9} {'other':>9} {'ratio':>7}  other side")
    results = []
    rounds = 3 if options.quick else options.rounds
    with tempfile.TemporaryDirectory() as scratch:
        runs = [lambda name=name: compare_commands(options.lariat, folder / name, rounds, pathlib.Path(scratch))
                for name in DATA_SETS]
        runs += [lambda name=name, loss=loss: compare_paths(options.lariat, folder / name, loss, min(rounds, 3),
                                                            pathlib.Path(scratch))
                 for name, loss in PATHS if not (options.quick and (name, loss) == PATHS[-1])]
        for run in runs:
            if (result := run()) is None:
                continue
            results.append(result)
            print(f"{result['case']:<26} {result['lariat_seconds']:>7.3f} s {result['other_seconds']:>7.3f} s "
                  f"{result['ratio']:>6.1f}x  {result['other']}", flush=True)
    machine["load_after"] = os.getloadavg()[0]
    print(f"load {machine['load_after']:.1f} at the end; ratio: the other side's median over lariat's")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
