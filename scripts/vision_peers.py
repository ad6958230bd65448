#!/usr/bin/env python3
"""The other side of `cargo bench -p models`: onnxruntime and FAISS, asked line by line on standard input.

    net THREADS FILE...          the files one after another, one answer: the median time of all of them in ms
    faiss TEMPLATES PROBES       256 floats each; the median time of one probe in ms, then the two nearest of each
"""
import statistics
import sys
import time

import faiss
import numpy
import onnxruntime

ROUNDS = 15
LENGTH = 256
sessions = {}


def session(threads, file):
    if (threads, file) not in sessions:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        opened = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        entry = opened.get_inputs()[0]
        picture = numpy.random.default_rng(1).integers(0, 256, entry.shape).astype(numpy.float32)
        sessions[threads, file] = (opened, {entry.name: picture})
    return sessions[threads, file]


def net(threads, files):
    all_of_them = [session(int(threads), file) for file in files]
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for opened, picture in all_of_them:
            opened.run(None, picture)
        times.append(time.perf_counter() - start)
    return f"{statistics.median(times) * 1e3:.4f}"


def nearest(templates, probes):
    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(LENGTH)
    index.add(numpy.fromfile(templates, dtype="<f4").reshape(-1, LENGTH))
    times, winners = [], []
    for probe in numpy.fromfile(probes, dtype="<f4").reshape(-1, 1, LENGTH):
        start = time.perf_counter()
        _, found = index.search(probe, 2)
        times.append(time.perf_counter() - start)
        winners += [str(slot) for slot in found[0]]
    return f"{statistics.median(times) * 1e3:.4f} {' '.join(winners)}"


for line in sys.stdin:
    command, *words = line.split()
    print(net(words[0], words[1:]) if command == "net" else nearest(*words), flush=True)
