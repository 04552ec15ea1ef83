#!/usr/bin/env python3
"""Installs the headers that programs include, and those that these include, below lariat/ alone: in the sources
they include each other as "graph/ir/graph.hpp", when installed as "lariat/graph/graph.hpp".

install_headers.py SOURCE_ROOT INCLUDE_FOLDER HEADER…; of a folder, its headers are meant.
"""
import os
import re
import sys

INCLUDE = re.compile(r'^#include "((?:graph|ops|autodiff|frontends)/[^"]+)"', re.MULTILINE)


# Where 0.1 had the headers that lie in rooms of a floor: programs written for it still find them.
BEFORE_ROOMS = [(re.compile(r'^graph/(?:base|io|ir)/'), 'graph/'), (re.compile(r'^graph/program/'), 'graph/exec/'),
                (re.compile(r'^ops/(?!plugin/)\w+/'), 'ops/'),
                (re.compile(r'^autodiff/(?:penalty|training|certificate|check)/'), 'autodiff/')]


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as file:
        file.write(text)


def main(root, folder, names):
    if not os.path.isabs(folder):
        folder = os.path.join(os.environ['MESON_INSTALL_DESTDIR_PREFIX'], folder)
    waiting = []
    for name in names:
        path = os.path.join(root, name)
        found = sorted(os.listdir(path)) if os.path.isdir(path) else [None]
        waiting += [os.path.join(name, file) if file else name for file in found
                    if not file or file.endswith('.hpp')]
    done = set()
    while waiting:
        name = waiting.pop()
        if name in done:
            continue
        done.add(name)
        with open(os.path.join(root, name), encoding='utf-8') as file:
            text = file.read()
        waiting += INCLUDE.findall(text)
        # What stands in examples/include/lariat is lariat/ itself.
        target = name.removeprefix('examples/include/lariat/')
        write(os.path.join(folder, 'lariat', target), INCLUDE.sub(r'#include "lariat/\1"', text))
        for room, floor in BEFORE_ROOMS:
            if room.search(target):
                write(os.path.join(folder, 'lariat', room.sub(floor, target)),
                      f'#pragma once\n#include "lariat/{target}"\n')


main(sys.argv[1], sys.argv[2], sys.argv[3:])
