"""Whether ingest from a bucket takes every object once and whole, whatever fails: ``python -m bench.s3_faults``.

moto's server holds films; between it and ingest a proxy drops connections, answers 500, 503 and 429, waits, cuts
answers off, resets connections, flips bytes and garbles lists, by chance and by schedule. Each schedule has a dataset
of its own, which must be that of an ingest without faults, to the byte. Beside it stands what a plain loop over boto3
with its own retries gets through the same schedules: it lists and reads every object, and does not decode.
"""

import argparse
import hashlib
import logging
import os
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from bench.machine import describe
from tests.support.buckets import NAME, content_of, fill, take
from tests.support.s3 import ENVIRONMENT, Schedule, client_of, faulty_proxy, moto_server


def main() -> None:
    """Run all schedules, compare, print; the exit code says whether all datasets are as they should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--schedules", type=int, default=200, metavar="N")
    parser.add_argument("--first", type=int, default=0, help="seed of the first schedule")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    os.environ.update(ENVIRONMENT)
    print(describe("boto3", "moto"), flush=True)
    done: Counter[str] = Counter()
    whole, plain, seconds = 0, 0, 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with moto_server(folder) as server:
            fill(client_of(server), folder)
            os.environ["AWS_ENDPOINT_URL_S3"] = server
            take(folder / "undisturbed")
            wanted, objects = content_of(folder / "undisturbed"), _read_plainly()
            for seed in range(arguments.first, arguments.first + arguments.schedules):
                share = 0.1 + 0.4 * (seed % 9) / 8
                schedule = Schedule(seed, share)
                started = time.monotonic()
                with faulty_proxy(server, schedule) as url:
                    os.environ["AWS_ENDPOINT_URL_S3"] = url
                    take(folder / "data")
                seconds += time.monotonic() - started
                whole += content_of(folder / "data") == wanted
                done += schedule.done
                shutil.rmtree(folder / "data")
                with faulty_proxy(server, Schedule(seed, share)) as url:
                    os.environ["AWS_ENDPOINT_URL_S3"] = url
                    plain += _read_plainly() == objects
    faults = ", ".join(f"{count} {fault}" for fault, count in sorted(done.items()) if fault)
    print(f"{arguments.schedules} schedules, {done.total()} requests, {done.total() - done['']} faults ({faults})")
    print(f"ingest: {whole} of {arguments.schedules} datasets are whole, each object once; {seconds:.0f} s")
    print(f"boto3 alone, as it comes: {plain} of {arguments.schedules} reads of all objects are whole")
    raise SystemExit(whole != arguments.schedules)


def _read_plainly() -> dict[str, str] | None:
    client = boto3.session.Session().client("s3")
    try:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=NAME)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        bodies = {key: client.get_object(Bucket=NAME, Key=key)["Body"].read() for key in keys}
        return {key: hashlib.sha256(body).hexdigest() for key, body in bodies.items()}
    except (BotoCoreError, ClientError, ResponseParserError):
        return None


if __name__ == "__main__":
    main()
