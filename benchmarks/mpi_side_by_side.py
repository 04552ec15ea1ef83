#!/usr/bin/python3
"""Training by ranks over MPI: ./run bench --mpi.

The sum of gradients beside MPI_Allreduce on the same bytes, dense and with 98% of the elements left out; steps of training
of one rank and two, each of one thread, in turns. With --network (as root), four network namespaces stand for four
hosts: the same training over TCP has to end with the same bits; from sums at limited rates a model is fitted, latency and
bytes over bandwidth, which is checked where it was not fitted and then predicts more ranks than there are here.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

MPIS = {"openmpi": ["mpirun.openmpi", "--oversubscribe", "--bind-to", "none"], "mpich": ["mpirun.mpich"]}
ENVIRONMENT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "LARIAT_RANK_LIMIT": "60",
               "PMIX_MCA_gds": "hash"}
HIDDEN = 512
MLP = """
[data]
kind = "idx"
[[layers]]
kind = "dense"
units = 512
activation = "relu"
kernel_penalty = "l1=2e-5"
[[layers]]
kind = "dense"
units = 512
activation = "relu"
kernel_penalty = "l1=2e-5"
[[layers]]
kind = "dense"
[training]
batch_size = 512
micro_shards = {shards}
epochs = {epochs}
"""
LSTM = """
[data]
kind = "digits"
[features]
num_mel_bins = 40
cmvn = "global"
[[layers]]
kind = "lstm"
units = 128
kernel_penalty = "l1=1e-5"
recurrent_penalty = "l1=1e-5"
[[layers]]
kind = "dense"
[training]
batch_size = 128
micro_shards = {shards}
epochs = {epochs}
"""


def environment(more=()):
    cleared = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
    return {**cleared, **ENVIRONMENT, **dict(more)}


def run(command, **more):
    done = subprocess.run(command, env=environment(more), capture_output=True, text=True, timeout=580)
    # Where MPI itself does not end, all was done and written before.
    if done.returncode != 0 and "does not end (MPI_Finalize)" not in done.stderr:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout


def installed(build):
    return [name for name in MPIS
            if pathlib.Path("/usr/bin", MPIS[name][0]).exists() and (build / f"liblariat_{name}.so").exists()]


def sums(build, name, ranks, rounds):
    out = run([*MPIS[name], "-n", str(ranks), build / "benchmarks/rank_sums", str(rounds)],
              LARIAT_MODULES=str(build))
    return json.loads(out.splitlines()[-1])


def show_sums(measured):
    print(f"\n{measured['mpi']}, {measured['ranks']} ranks, medians of {measured['rounds']}: microseconds")
    print(f"{'bytes':>10} {'our sum':>9} {'MPI_Allreduce':>14} {'ratio':>6} {'98% left out':>13} {'bytes sent':>11} {'then':>9}")
    for row in measured["sums"]:
        print(f"{row['bytes']:>10} {row['sum'] * 1e6:>9.1f} {row['mpi'] * 1e6:>14.1f} {row['sum'] / row['mpi']:>6.2f} "
              f"{row['sparse'] * 1e6:>13.1f} {row['sent']:>11} {row['sent_sparse']:>9}")


class Training:
    """Runs of one recipe, of which the JSON says seconds and state."""

    def __init__(self, build, folder, name, recipe, data):
        self.build, self.folder, self.name, self.data = build, pathlib.Path(folder), name, data
        self.recipe = self.folder / f"{name}.toml"
        self.recipe.write_text(recipe)

    def command(self, json_file, more=()):
        return [str(self.build / "lariat"), "train", str(self.recipe), "--data", str(self.data), "--json", str(json_file),
                "--quiet", "--threads", "1", "--no-test", *more]

    def run(self, launcher=(), **more):
        figures = self.folder / "figures.json"
        run([*launcher, *self.command(figures)], **more)
        return json.loads(figures.read_text())

    def seconds_at_once(self, count):
        """Of so many processes side by side that know nothing of each other."""
        files = [self.folder / f"alone{i}.json" for i in range(count)]
        processes = [subprocess.Popen(self.command(file), env=environment({"LARIAT_MPI": "none"}), stdout=subprocess.DEVNULL)
                     for file in files]
        if any(process.wait(timeout=580) != 0 for process in processes):
            sys.exit("a training beside another failed")
        return statistics.mean(json.loads(file.read_text())["seconds"] for file in files)


def compare_steps(training, mpis, rounds):
    print(f"\n{training.name}: seconds of training, one thread a rank, medians of {rounds} in turns")
    ways = {"without MPI": ()}
    for name in mpis:
        for ranks in (1, 2):
            ways[f"{name}, {ranks} rank{'s' if ranks > 1 else ''}"] = [*MPIS[name], "-n", str(ranks)]
    times, states, at_once = {way: [] for way in ways}, {}, []
    for _ in range(rounds):
        at_once.append(training.seconds_at_once(2))
        for way, launcher in ways.items():
            figures = training.run(launcher)
            times[way].append(figures["seconds"])
            states[way] = (figures["state_hash"], figures["ranks"])
    first = statistics.median(times["without MPI"])
    for way in ways:
        seconds, (state, ranks) = statistics.median(times[way]), states[way]
        traffic = "" if ranks is None else (f", {ranks['sum_bytes'] / 1e6:.1f} MB of sums sent, "
                                            f"{100 * ranks['seconds_waited'] / seconds:.0f}% of the time waiting")
        print(f"  {way:<18} {seconds:8.3f} s  {first / seconds:5.2f}x  state {state}{traffic}")
    if len({state for state, _ in states.values()}) != 1:
        sys.exit("the states differ")
    print(f"  what two processors give here: {2 * first / statistics.median(at_once):.2f}x, by two trainings at once that share "
          "nothing")
    return {"seconds": times, "two_at_once": at_once, "state": states["without MPI"][0]}


class Hosts:
    """Network namespaces that stand for hosts on one switch, at 10.77.0.1 and up; commands on them are started by an agent
    in place of ssh."""

    def __init__(self, count, folder):
        self.count = count
        self.agent = pathlib.Path(folder) / "agent"
        self.agent.write_text("#!/bin/sh\n# agent HOST COMMAND…: the last number of the address is the namespace's.\n"
                              "host=$1; shift\n"
                              "exec ip netns exec lariat${host##*.} unshare --uts sh -c \"hostname lariat${host##*.}; $*\"\n")
        self.agent.chmod(0o755)

    def __enter__(self):
        ip("link", "add", "lariat-switch", "type", "bridge")
        ip("link", "set", "lariat-switch", "up")
        for host in range(1, self.count + 1):
            space = f"lariat{host}"
            ip("netns", "add", space)
            ip("link", "add", f"lariat-{host}", "type", "veth", "peer", "name", "eth0", "netns", space)
            ip("link", "set", f"lariat-{host}", "master", "lariat-switch", "up")
            ip("-n", space, "address", "add", f"10.77.0.{host}/24", "dev", "eth0")
            for device in ("eth0", "lo"):
                ip("-n", space, "link", "set", device, "up")
        return self

    def __exit__(self, *_):
        for host in range(1, self.count + 1):
            subprocess.run(["ip", "netns", "del", f"lariat{host}"], check=False)
        subprocess.run(["ip", "link", "del", "lariat-switch"], check=False)

    def limit(self, rate, delay):
        """What tc says where the kernel cannot, or ""."""
        for host in range(1, self.count + 1):
            inside = ["ip", "netns", "exec", f"lariat{host}", "tc", "qdisc"]
            subprocess.run([*inside, "del", "dev", "eth0", "root"], check=False, capture_output=True)
            limited = subprocess.run([*inside, "add", "dev", "eth0", "root", "netem", "delay", delay, "rate", rate, "limit", "100000"],
                                     check=False, capture_output=True, text=True)
            if limited.returncode != 0:
                return limited.stderr.strip()
        return ""

    def launcher(self, name, ranks):
        inside = ["ip", "netns", "exec", "lariat1"]
        hosts = ",".join(f"10.77.0.{host}" for host in range(1, ranks + 1))
        if name == "openmpi":
            return [*inside, "mpirun.openmpi", "--bind-to", "none", "--mca", "plm_rsh_agent", str(self.agent), "--host", hosts,
                    "--mca", "btl", "tcp,self", "--mca", "pml", "ob1", "--mca", "btl_tcp_if_include", "10.77.0.0/24",
                    "--mca", "oob_tcp_if_include", "10.77.0.0/24", "-n", str(ranks)]
        return [*inside, "mpirun.mpich", "-launcher", "rsh", "-launcher-exec", str(self.agent), "-hosts", hosts, "-iface", "eth0",
                "-genv", "UCX_TLS", "tcp,self", "-n", str(ranks)]


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def predicted(model, ranks, bytes_):
    """Each rank sends a part to every other, and what it adds up to every other: two rounds."""
    latency, each, per_second = model
    return 2 * (latency + (ranks - 1) * each) + 2 * bytes_ * (ranks - 1) / ranks / per_second


def fit(points):
    """Latency, time of a further message, and bytes in a second, by least squares of relative errors."""
    rows = [([2 / t, 2 * (ranks - 1) / t, 2 * size * (ranks - 1) / ranks / t], 1.0) for ranks, size, t in points]
    a = [[sum(r[i] * r[j] for r, _ in rows) for j in range(3)] for i in range(3)]
    b = [sum(r[i] * y for r, y in rows) for i in range(3)]
    for i in range(3):
        for j in range(i + 1, 3):
            factor = a[j][i] / a[i][i]
            a[j] = [x - factor * y for x, y in zip(a[j], a[i])]
            b[j] -= factor * b[i]
    solution = [0.0] * 3
    for i in reversed(range(3)):
        solution[i] = (b[i] - sum(a[i][j] * solution[j] for j in range(i + 1, 3))) / a[i][i]
    return solution[0], solution[1], 1 / solution[2]


def network(build, training, mpis, state, rounds):
    with tempfile.TemporaryDirectory() as folder, Hosts(4, folder) as hosts:
        for name in mpis:
            figures = training.run(hosts.launcher(name, 4))
            print(f"{name} over TCP between 4 network namespaces: state {figures['state_hash']}, "
                  f"{'the same' if figures['state_hash'] == state else 'ANOTHER'}")
        for rate, delay in (("1gbit", "50us"), ("200mbit", "500us")):
            fault = hosts.limit(rate, delay)
            if fault:
                print(f"no rate can be limited here, so no model is fitted: tc says '{fault}'; it takes a kernel with sch_netem")
                return
            points, checks = [], []
            for ranks in (2, 3, 4):
                out = run([*hosts.launcher(mpis[0], ranks), build / "benchmarks/rank_sums", str(rounds)],
                          LARIAT_MODULES=str(build))
                for row in json.loads(out.splitlines()[-1])["sums"]:
                    if row["bytes"] > 2**15:
                        (points if ranks < 4 else checks).append((ranks, row["bytes"], row["sum"]))
            model = fit(points)
            print(f"\n{rate}, {delay}, fitted to 2 and 3 ranks: latency {model[0] * 1e6:.0f} us, each further message "
                  f"{model[1] * 1e6:.0f} us, {model[2] / 1e6:.1f} MB/s")
            for ranks, size, seconds in checks:
                print(f"  checked on {ranks} ranks, {size:>8} bytes: predicted {predicted(model, ranks, size) * 1e3:8.2f} ms, "
                      f"measured {seconds * 1e3:8.2f} ms")
            size = 4 * (784 * HIDDEN + HIDDEN * HIDDEN + 10 * HIDDEN)
            print("  predictions, not measured: the gradients of 784-512-512-10 on " + ", ".join(
                f"{ranks}: {predicted(model, ranks, size) * 1e3:.0f} ms" for ranks in (2, 8, 32, 128, 1024)) + " ranks")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--data", default=os.environ.get("LARIAT_DATA", ""), help="the folder that holds mnist/ and fsdd/")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and one epoch")
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--network", action="store_true", help="between network namespaces too; needs root")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    build = options.build.resolve()
    mpis = installed(build)
    if not mpis:
        sys.exit("neither Open MPI nor MPICH is there: apt install libopenmpi-dev openmpi-bin libmpich-dev mpich, and build again")
    rounds, epochs = (2, 1) if options.quick else (options.rounds, 2)
    results = {"sums": [], "training": {}}
    for name in mpis:
        for ranks in (2,):
            results["sums"].append(sums(build, name, ranks, 40 * rounds))
            show_sums(results["sums"][-1])
    if not options.data:
        print("\nno --data FOLDER with mnist/ and fsdd/: no steps are measured")
    else:
        data = pathlib.Path(options.data)
        with tempfile.TemporaryDirectory() as folder:
            trainings = [Training(build, folder, name, recipe.format(shards=options.shards, epochs=epochs), data / corpus)
                         for name, recipe, corpus in (("784-512-512-10, batch 512", MLP, "mnist"),
                                                      ("LSTM 40-128 on spoken digits, batch 128", LSTM, "fsdd"))]
            for training in trainings:
                results["training"][training.name] = compare_steps(training, mpis, rounds)
            if options.network:
                print()
                network(build, trainings[0], mpis, results["training"][trainings[0].name]["state"], 10 * rounds)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


main()
