#!/usr/bin/env python3
"""Reads a model file with coded tensors, by docs/model_file.md alone: prints their names and shapes, and with a second
file name writes it as plain safetensors. Slow: `lariat convert MODEL --dense --out FILE` does the same.

    python3 examples/read_coded.py small.safetensors [plain.safetensors]
"""
import array
import json
import struct
import sys
import zlib


class Chance:
    def __init__(self, c=1 << 21, n=0):
        self.c, self.n = c, n

    def learn(self, bit, limit):
        self.n = min(self.n + 1, limit)
        step = 2 * ((1 << 22) - 1 - self.c if bit else -self.c)
        size = abs(step) // (2 * self.n + 3)
        self.c += size if step > 0 else -size

    def level(self):
        bits = self.c.bit_length()
        below = self.c >> (bits - 2) & 1 if bits > 1 else 0
        return min(19, 2 * (22 - bits) + 1 - below)


def tree(bits):
    return [Chance() for _ in range(1 << bits)]


class Decoder:
    def __init__(self, data):
        self.data, self.at, self.value, self.low, self.high = data, 0, 0, 0, 0xFFFFFFFF
        for _ in range(4):
            self.take()

    def take(self):
        byte = self.data[self.at] if self.at < len(self.data) else 0
        self.value, self.at = (self.value << 8 | byte) & 0xFFFFFFFF, self.at + 1

    def cut(self, chance):
        middle = self.low + ((self.high - self.low) * chance >> 16)
        bit = self.value <= middle
        self.low, self.high = (self.low, middle) if bit else (middle + 1, self.high)
        while (self.low ^ self.high) >> 24 == 0:
            self.low, self.high = self.low << 8 & 0xFFFFFFFF, self.high << 8 & 0xFFFFFFFF | 255
            self.take()
        return int(bit)

    def bit(self, chance):
        bit = self.cut(max(chance.c >> 6, 1))
        chance.learn(bit, 1023)
        return bit

    def raw(self, count):
        number = 0
        for _ in range(count):
            number = 2 * number + self.cut(1 << 15)
        return number

    def number(self, chances):
        node = 1
        while node < len(chances):
            node = 2 * node + self.bit(chances[node])
        return node - len(chances)


class Floats:
    def __init__(self, raw):
        self.raw, self.sign, self.exponent, self.upper = raw, Chance(), tree(8), [tree(3) for _ in range(256)]

    def read(self, decoder):
        sign, exponent = decoder.bit(self.sign), decoder.number(self.exponent)
        upper = decoder.number(self.upper[exponent])
        lower = decoder.raw(self.raw) << (20 - self.raw)
        return struct.unpack('<f', struct.pack('<I', sign << 31 | exponent << 23 | upper << 20 | lower))[0]


def decoded(code):
    """The shape and the elements, row by row."""
    if zlib.crc32(code[4:]) != struct.unpack('<I', code[:4])[0]:
        sys.exit('a coded tensor is damaged')
    form, rank = code[4], code[5]
    shape = struct.unpack(f'<{rank}q', code[6:6 + 8 * rank])
    columns = shape[-1] if rank else 1
    count = 1
    for extent in shape:
        count *= extent
    decoder = Decoder(code[6 + 8 * rank:])
    of_all, of_column = Chance(1 << 18), [Chance(1 << 18) for _ in range(columns)]
    places = [[Chance() for _ in range(20)] for _ in range(20)]
    floats, scale_floats, magnitudes, scales = Floats(7 if form == 1 else 20), Floats(1), tree(7), {}
    elements = array.array('f', bytes(4 * count))
    for i in range(count):
        column = i % columns
        if column == 0:
            of_row = Chance(of_all.c, 4)
        place = places[of_row.level()][of_column[column].level()]
        is_there = decoder.bit(place)
        of_row.learn(is_there, 255)
        of_column[column].learn(is_there, 255)
        of_all.learn(is_there, 1023)
        if not is_there:
            continue
        if form < 2:
            elements[i] = floats.read(decoder)
            continue
        if column not in scales:
            scales[column] = scale_floats.read(decoder)
        sign = -1 if decoder.raw(1) else 1
        elements[i] = sign * decoder.number(magnitudes) * scales[column]
    return shape, elements


def main():
    with open(sys.argv[1], 'rb') as file:
        data = file.read()
    length = struct.unpack('<Q', data[:8])[0]
    header, out, body = json.loads(data[8:8 + length]), {}, b''
    for name, entry in header.items():
        if name == '__metadata__':
            out[name] = {key: note for key, note in entry.items() if key != 'coded_tensors'}
            continue
        begin, end = entry['data_offsets']
        tensor, dtype, shape = data[8 + length + begin:8 + length + end], entry['dtype'], entry['shape']
        if dtype == 'U8':
            shape, elements = decoded(tensor)
            dtype, tensor = 'F32', elements.tobytes()
        print(name, dtype, list(shape))
        out[name] = {'dtype': dtype, 'shape': list(shape), 'data_offsets': [len(body), len(body) + len(tensor)]}
        body += tensor
    if len(sys.argv) > 2:
        text = json.dumps(out, separators=(',', ':'), ensure_ascii=False).encode()
        text += b' ' * (-len(text) % 8)
        with open(sys.argv[2], 'wb') as file:
            file.write(struct.pack('<Q', len(text)) + text + body)


main()
