#!/usr/bin/python3
"""The cases of speech features by torchaudio: a worker (see worker.hpp), for Debian's own Python."""

import functools
import itertools
import os
import pathlib
import wave

import worker

WINDOW, SHIFT, TRANSFORM = 200, 80, 512  # samples: 25 and 10 ms at 8 kHz


def read_waveforms(scale):
    """The official test split, index 0 to 4, in memory: at the scale of 16-bit integers, or ±1."""
    folder = pathlib.Path(os.environ.get("LARIAT_DATA", "../shared/data")) / "fsdd"
    waveforms = []
    for file in sorted(folder.glob("*_[0-4].wav")):
        with wave.open(str(file)) as recording:
            samples = bytearray(recording.readframes(recording.getnframes()))
        waveforms.append(torch.frombuffer(samples, dtype=torch.int16).float().unsqueeze(0) * scale)
    return waveforms


def use_filters_once():
    """Makes the mel filters and the window once, which torchaudio has no setting for."""
    for name in ("get_mel_banks", "_feature_window_function"):
        setattr(kaldi, name, functools.lru_cache(maxsize=None)(getattr(kaldi, name)))


def fbank(waveform):
    """Log-mel energies as the recipes for spoken digits take them: [frames, 40]."""
    return kaldi.fbank(waveform, sample_frequency=8000, num_mel_bins=40)


def mel_spectrogram(center):
    """A function to mel spectrograms [frames, 40]."""
    transform = transforms.MelSpectrogram(
        8000, n_fft=TRANSFORM, win_length=WINDOW, hop_length=SHIFT, n_mels=40, center=center
    )
    return lambda waveform: transform(waveform)[0].T


def joined(analyse, waveforms, window):
    """One call for all recordings, end to end; frames that see two of them are left out."""
    steps = [-(-waveform.shape[1] // SHIFT) for waveform in waveforms]
    line = torch.zeros(1, sum(steps) * SHIFT)
    first, kept = 0, []
    for waveform, count in zip(waveforms, steps):
        samples = waveform.shape[1]
        line[:, first * SHIFT : first * SHIFT + samples] = waveform
        kept.append(slice(first, first + (samples - window) // SHIFT + 1))
        first += count
    frames = analyse(line)
    return [frames[rows] for rows in kept]


def make_features(case, setting):
    """The function from all waveforms to all features."""
    if case.endswith("fbank"):
        if setting != "one by one":
            use_filters_once()
        if setting == "joined":
            return lambda waveforms: joined(fbank, waveforms, WINDOW)
        return lambda waveforms: [fbank(waveform) for waveform in waveforms]
    spectrogram = mel_spectrogram(center=setting != "joined")
    if setting == "joined":
        ends = (TRANSFORM // 2, TRANSFORM // 2)
        return lambda waveforms: joined(
            spectrogram, [torch.nn.functional.pad(w, ends, mode="reflect") for w in waveforms], TRANSFORM
        )
    return lambda waveforms: [spectrogram(waveform) for waveform in waveforms]


def check(features, waveforms, first):
    """The mean over every fourth recording from `first` on."""
    part = features(waveforms)[first::4]
    return sum(f.double().sum().item() for f in part) / sum(f.numel() for f in part)


def load():
    global torch, kaldi, transforms
    import torch
    import torchaudio
    from torchaudio import transforms
    from torchaudio.compliance import kaldi

    return torchaudio.__version__


def make(case, threads, setting, _):
    torch.set_num_threads(threads)
    waveforms = read_waveforms(1 if case.endswith("fbank") else 1 / 32768)
    features, turns, inference = make_features(case, setting), itertools.count(), torch.inference_mode()
    return (inference(lambda: features(waveforms)),
            inference(lambda: check(features, waveforms, next(turns))))  # fmt: skip


worker.serve(load, make)
