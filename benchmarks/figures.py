#!/usr/bin/env python3
"""Writes the tables of README.md and docs/performance.md from the figures that the suite wrote, docs/bench*.json and
docs/scaling.json (or .txt, as it was printed), between lines <!-- figures: NAME --> and <!-- end of figures -->; with
--check it says which of both would change, with status 1. A table whose figures are not there stays as it is.
"""
import json
import math
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
RUNS = {'AVX2': 'bench_avx2.json', 'AVX-512': 'bench.json'}
LSTM = '100x32x128x256'

# What is asked for: words, cases, whom beside (all for None), and how much of it by instruction set.
GOALS = [
    ('MLP training, SGD, batch 32 / 128 / 512', ['mlp/32/sgd', 'mlp/128/sgd', 'mlp/512/sgd'], None, [2, 1.5, 1.3]),
    ('the same with Adam and L1', ['mlp/32/adam/l1', 'mlp/128/adam/l1', 'mlp/512/adam/l1'], None, [2.5, 2, 1.5]),
    ('LSTM (100, 32, 128, 256), one / two layers', [f'lstm/{LSTM}', f'lstm/{LSTM}/2 layers'], None,
     {'AVX2': 2, 'AVX-512': 3}),
    ('the same by hand, cell by cell', [f'lstm_cells/{LSTM}', f'lstm_cells/{LSTM}/2 layers'], None,
     {'AVX2': 2, 'AVX-512': 3}),
    ('LSTM (50, 16, 40, 128), fused / by hand', ['lstm/50x16x40x128', 'lstm_cells/50x16x40x128'], None, 3),
    ('keyword CNN training', ['cnn/32'], None, 1.5),
    ('inference, batch 1: MLP', ['inference/mlp'], 'onnxruntime', 2),
    ('inference, batch 1: LSTMs (100, 128, 256) / (50, 40, 128)',
     ['inference/lstm/100x1x128x256', 'inference/lstm/50x1x40x128'], 'onnxruntime', 1.5),
    ('inference, batch 1: CNN', ['inference/cnn'], 'onnxruntime', 1.2),
    ('inference: MLP, batch 64 / 512', ['inference/mlp/64', 'inference/mlp/512'], 'onnxruntime', 1.1),
    ('inference: LSTM, batch 32', [f'inference/lstm/{LSTM}'], 'onnxruntime', 1.1),
    ('the least program: start / memory / header', ['program/start', 'program/memory', 'header/compile'], None, 10),
]

# What README.md says, one line for several cases.
SUMMARY = [
    ('LSTM training, fused layer or cells unrolled by hand', r'lstm(_cells)?/'),
    ('bidirectional LSTM training', r'bidirectional_lstm/'),
    ('MLP 784-512-512-10 training with SGD, batch 32, 128, 512', r'mlp/\d+/sgd'),
    ('the same with Adam and an L1 term', r'mlp/\d+/adam/l1'),
    ('keyword CNN training', r'cnn/'),
    ('logistic regression on a9a, all data a step', r'logistic/a9a(/l1)?'),
    ('log-mel features of speech, beside torchaudio', r'features/.*'),
    ('inference of one example: MLP, LSTMs', r'inference/(mlp|lstm.*x1x.*|bidirectional_lstm.*)'),
    ('inference of one example: CNN', r'inference/cnn'),
    ('inference of batches: MLP 64 and 512, LSTM 32', r'inference/(mlp/\d+|lstm/100x32.*)'),
]


class Run:
    """What one run of the suite wrote."""

    def __init__(self, path):
        self.path, text = path, json.loads(path.read_text())
        self.machine, self.fits = text['machine'], text['fits']
        self.cases = {case['name']: case for case in text['cases']}

    def beside(self, name, whom=None):
        """The other side with the least time: its name, ratio and interval."""
        others = [o for o in self.cases.get(name, {'beside': []})['beside'] if whom in (None, o['name'])]
        return min(others, key=lambda o: o['figure'], default=None)

    def described(self):
        limits = self.machine['limits']
        return (f"{self.machine['processor']}, {limits[-1]['threads']} threads, "
                f"{' / '.join(str(round(l['product_gflops'])) for l in limits)} GFLOP/s of products and "
                f"{' / '.join(str(round(l['memory_gbytes'])) for l in limits)} GB/s of memory on "
                f"{' / '.join(str(l['threads']) for l in limits)} threads; {', '.join(self.machine['versions'])}")


def short(value):
    """Three digits."""
    if value is None or math.isnan(value):
        return ''
    return f'{value:.3g}' if value < 100 else f'{value:.0f}'


def table(heading, rows):
    lines = [heading, ['---'] * len(heading), *rows]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def judged(value, asked):
    return f"{'**' + format(value, '.2f') + '**' if value >= asked else format(value, '.2f')}"


def goals(runs):
    """The goals beside what was measured; what reaches its goal is bold."""
    rows = []
    for words, names, whom, asked in GOALS:
        by_set = asked if isinstance(asked, dict) else dict.fromkeys(RUNS, asked)
        shown = {s: a if isinstance(a, list) else [a] * len(names) for s, a in by_set.items()}
        asked_text = ', '.join(f'{a} ({s})' for s, a in asked.items()) if isinstance(asked, dict) else \
            ' / '.join(map(str, asked)) if isinstance(asked, list) else str(asked)
        cells = []
        for kind, run in runs.items():
            found = [run.beside(name, whom) for name in names]
            cells.append(' / '.join(judged(o['ratio'], a) if o else '-' for o, a in zip(found, shown[kind])))
        rows.append([words, asked_text, *cells])
    for words, names, asked, value in (
        ('share of the product peak: MLP, batch 512 / LSTM, one / two layers',
         ['mlp/512/sgd', f'lstm/{LSTM}', f'lstm/{LSTM}/2 layers'], [0.8, 0.65, 0.65], lambda c: c['peak_share']),
        ('two threads beside one: MLP, batch 128 / 512 / LSTM / CNN',
         ['mlp/128/sgd', 'mlp/512/sgd', f'lstm/{LSTM}', 'cnn/32'], [1.8] * 4,
         lambda c: c['by_threads']['1'] / c['by_threads']['2'] if '2' in c['by_threads'] else None),
    ):
        cells = []
        for run in runs.values():
            values = [value(run.cases[n]) if n in run.cases else None for n in names]
            cells.append(' / '.join('-' if v is None else judged(v, a) for v, a in zip(values, asked)))
        rows.append([words, ' / '.join(map(str, asked)), *cells])
    return table(['', 'goal', *runs], rows)


def machines(runs):
    return '\n'.join(f'- {kind}: {run.described()}. [Figures]({run.path.name}), [pictures]({run.path.stem}.html).'
                     for kind, run in runs.items())


def ratio_text(other):
    """The ratio, its interval, and whether it is separable from 1."""
    if not other or other['ratio'] is None:
        return ''
    low, high = other['ratio_low'], other['ratio_high']
    return f"{other['ratio']:.2f} ({low:.2f}-{high:.2f}){'' if low > 1 or high < 1 else ' ~1'}"


PEERS = {'libtorch': 'libtorch', 'pytorch': 'PyTorch', 'pytorch, compiled': 'compiled', 'onnxruntime': 'ONNX Runtime'}


def cases(kind, run):
    rows = []
    for name, case in run.cases.items():
        if name.startswith('cost/'):
            continue
        by_name = {o['name']: o for o in case['beside']}
        cells = [f"{short(by_name[p]['figure'])} ({by_name[p]['threads']})" if p in by_name else '' for p in PEERS]
        best = run.beside(name)
        if best and best['name'] not in PEERS:
            cells[0] = f"{short(best['figure'])} ({best['threads']}, {best['name']})"
        share = case['peak_share'] if case['peak_share'] is not None else case['bandwidth_share']
        share = '' if share is None else f"{100 * share:.0f}%{'' if case['bandwidth_share'] is None else ' (memory)'}"
        rows.append([name, f"{short(case['figure'])} ({case['threads']})", *cells, ratio_text(best),
                     short(case['ratio_one_thread']), share])  # fmt: skip
    return f'### With {kind}\n\n' + table(['case', 'Lariat', *PEERS.values(), 'ratio', '1 thread', 'share'], rows)


def growth(runs):
    found = {}
    for kind, run in runs.items():
        for fit in run.fits:
            if fit['threads'] == run.machine['limits'][-1]['threads']:
                found.setdefault((fit['name'].removeprefix('cost/'), fit['amount']), {})[kind] = fit
    rows = []
    for (name, amount), by_kind in found.items():
        cells = []
        for kind in runs:
            fit = by_kind.get(kind)
            cells.append(f"{short(1e3 * fit['slope_ms'] if fit['slope_ms'] > 1e-5 else 1e6 * fit['slope_ms'])} "
                         f"{'µs' if fit['slope_ms'] > 1e-5 else 'ns'}, R² {fit['r_squared']:.4f}" if fit else '')
        rows.append([name, amount, *cells])
    return table(['cost', 'per', *runs], rows)


def scaling(run):
    counts = [limit['threads'] for limit in run.machine['limits']]
    names = {'lariat': 'Lariat', **PEERS}
    rows = []
    for name, case in run.cases.items():
        for side in names:
            best = {}
            for timing in case['timings']:
                if timing['side'] == side:
                    best[timing['threads']] = min(timing['ms'], best.get(timing['threads'], math.inf))
            if best:
                ms = [f"{short(best[c])} ({best[1] / best[c]:.1f}×)" if c in best and 1 in best else '' for c in counts]
                rows.append([name if side == 'lariat' else '', names[side], *ms])
    return (f'### On 1 to {counts[-1]} threads\n\nMedians in ms, and how many times less than on one thread, from `scaling.sh` on '
            f'another machine: {run.described()}. [Figures](scaling.json), [pictures](scaling.html).\n\n' +
            table(['case', 'side', *map(str, counts)], rows))  # fmt: skip


def scaling_printed(text):
    """The same from what the suite printed, where it was ended before it wrote a file: best numbers of threads alone."""
    lines = text.splitlines()
    heading = next(i for i, line in enumerate(lines) if line.startswith('case '))
    rows = []
    for line in lines[heading + 1 :]:
        words = re.split(r'\s{2,}', line.strip())
        if len(words) == 12:
            name, own, other, side, ratio, _, one_thread, share, _, faster, _, bits = words
            rows.append([name, own, faster, f'{other}, {side}', ratio, one_thread, share, bits])
    limits = [line for line in lines[:heading] if line.startswith('at most')]
    return (f'### On up to 16 threads\n\nFrom `scaling.sh` on another machine, as [it printed](scaling.txt): {lines[0]}; '
            f'{limits[0]}, {limits[-1]}.\n\n' +
            table(['case', 'Lariat (threads)', 'than on one', 'other (threads)', 'ratio', '1 thread', 'share', 'bits'], rows))


def summary(runs):
    rows = []
    for words, pattern in SUMMARY:
        cells = []
        for run in runs.values():
            ratios = [c['ratio'] for n, c in run.cases.items() if re.match(pattern + '$' if pattern[-1] != '/' else pattern, n)
                      and c['ratio'] is not None]
            low, high = (f'{r(ratios):.1f}' for r in (min, max)) if ratios else ('', '')
            cells.append(f"{low if low == high else low + ' to ' + high}{'×' if ratios else ''}")
        rows.append([words, *cells])
    ways = ', on a processor without AVX-512 and on one with it' if len(runs) > 1 else ''
    lines = [f'How many times less time Lariat takes than the best of them{ways}:', '',
             table(['', *runs], rows), '']  # fmt: skip
    for kind, run in runs.items():
        lines.append(f'{kind}: {run.described()}.')
        start, memory, header = (run.cases.get(n) for n in ('program/start', 'program/memory', 'header/compile'))
        if start and memory and header and all(c['beside'] for c in (start, memory, header)):
            others = [c['beside'][0]['figure'] for c in (start, memory, header)]
            lines.append(f"A minimal program starts in {start['figure']:.0f} ms ({others[0]:.0f} with libtorch) and takes "
                         f"{memory['figure']:.0f} MB ({others[1]:.0f}); reading `lariat.hpp` takes "
                         f"{header['figure'] / 1e3:.1f} s ({others[2] / 1e3:.1f}).")
        lines.append('')
    return '\n'.join(lines[:-1])


def tables():
    docs = ROOT / 'docs'
    runs = {kind: Run(docs / name) for kind, name in RUNS.items() if (docs / name).exists()}
    for kind, run in list(runs.items()):
        if not all('beside' in case for case in run.cases.values()):
            print(f"figures: {run.path.name} is from an older suite: './run bench --json' writes it again", file=sys.stderr)
            del runs[kind]
    made = {}
    if runs:
        made = {'goals': goals(runs), 'machines': machines(runs), 'growth': growth(runs), 'summary': summary(runs)}
        made |= {f'cases {kind}': cases(kind, run) for kind, run in runs.items()}
    if (docs / 'scaling.json').exists():
        made['scaling'] = scaling(Run(docs / 'scaling.json'))
    elif (docs / 'scaling.txt').exists():
        made['scaling'] = scaling_printed((docs / 'scaling.txt').read_text())
    return made


def main():
    made, changed = tables(), []
    block = re.compile(r'(<!-- figures: ([^>]+) -->\n).*?(<!-- end of figures -->)', re.DOTALL)
    for path in (ROOT / 'README.md', ROOT / 'docs' / 'performance.md'):
        old = path.read_text()
        new = block.sub(lambda m: f'{m[1]}{made[m[2]]}\n{m[3]}' if m[2] in made else m[0], old)
        if new != old:
            changed.append(str(path.relative_to(ROOT)))
            if '--check' not in sys.argv:
                path.write_text(new)
    print(f"figures: {', '.join(changed) if changed else 'nothing'} {'would change' if '--check' in sys.argv else 'written'}")
    return 1 if changed and '--check' in sys.argv else 0


sys.exit(main())
