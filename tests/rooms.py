#!/usr/bin/env python3
"""The house rules that `./run lint` checks: includes between the rooms (folders) of the four floors make no circle
and point downwards, no folder holds over 40 files, no file has over 450 lines, and no two files define different
types of one name: linked together, each would be taken for the other.
"""
import collections
import pathlib
import re
import subprocess
import sys

FLOORS = ['graph', 'ops', 'autodiff', 'frontends']
MOST_FILES, MOST_LINES = 40, 450
# What op authors copy as one file, and the interface as it was first released.
AS_ONE = {'ops/plugin/lariat_op.hpp'}
KEPT = 'tests/plugins/first_release/'
INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)
TYPE = re.compile(r'^(?:struct|class) (\w+)(?: final)?(?: : [^;]*)? ?\{')
# It collects what other rooms have: it shortens the build.
COLLECTS = {'graph/pch', 'frontends/pch'}


def room_of(path):
    return str(pathlib.PurePosixPath(path).parent)


def types(text):
    """(namespace, name) of every type that a file defines for all others to see."""
    spaces = []
    for line in text.split('\n'):
        if line.startswith('namespace'):
            spaces.append(line.removeprefix('namespace').strip(' {'))
        elif line.startswith('}  // namespace') and spaces:
            spaces.pop()
        elif '' not in spaces and (found := TYPE.match(line)):
            yield '::'.join(spaces), found.group(1)


def circle(edges):
    """Rooms of one circle of includes, or nothing."""
    state = {}

    def visit(room, path):
        state[room] = 'open'
        for other in sorted(edges[room]):
            if state.get(other) == 'open':
                return path[path.index(other):] + [other]
            if other not in state:
                found = visit(other, path + [other])
                if found:
                    return found
        state[room] = 'done'
        return None

    for room in sorted(edges):
        if room not in state:
            found = visit(room, [room])
            if found:
                return found
    return None


def main():
    files = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], check=True, capture_output=True,
                           text=True).stdout.split('\n')[:-1]
    files = [file for file in files if pathlib.Path(file).is_file() and not file.startswith(KEPT)]
    complaints = []
    edges = collections.defaultdict(set)
    defined = collections.defaultdict(set)
    for file in files:
        floor = file.split('/')[0]
        if not file.endswith(('.cpp', '.hpp', '.h', '.inc')):
            continue
        text = pathlib.Path(file).read_text(encoding='utf-8')
        lines = text.count('\n')
        if floor in FLOORS or floor == 'tests':
            for name in types(text):
                defined[name].add(file)
        if lines > MOST_LINES and file not in AS_ONE:
            complaints.append(f'{file} has {lines} lines; past {MOST_LINES} it is two things')
        if floor not in FLOORS or room_of(file) in COLLECTS:
            continue
        for included in INCLUDE.findall(text):
            above = included.split('/')[0]
            if above in FLOORS and FLOORS.index(above) > FLOORS.index(floor):
                complaints.append(f'{file} includes {included}, which lies above it')
            if above in FLOORS and room_of(included) != room_of(file):
                edges[room_of(file)].add(room_of(included))
    complaints += [f'{"::".join(name)} is defined in {" and in ".join(sorted(places))}'
                   for name, places in sorted(defined.items()) if len(places) > 1]
    found = circle(edges)
    if found:
        complaints.append('includes go in a circle: ' + ' -> '.join(found))
    count = collections.Counter(room_of(file) for file in files)
    complaints += [f'{room}/ holds {number} files; past {MOST_FILES} it is two rooms'
                   for room, number in sorted(count.items()) if number > MOST_FILES]
    for complaint in complaints:
        print('lint:', complaint, file=sys.stderr)
    return 1 if complaints else 0


sys.exit(main())
