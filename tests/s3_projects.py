"""The finished small project, with its sources, and with its lake, on S3."""

from pathlib import Path

from samplemix_dagster.storage.s3.bucket import Bucket
from samplemix_dagster.storage.s3.errors import SOURCE
from tests import s3_faults
from tests.projects import finished_project, read_settings, reference_folder, write_settings


def upload(bucket: Bucket, folder: Path, prefix: str) -> None:
    """Send every file below a folder."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            bucket.put(f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes())


def corpus_bucket(url: str) -> Bucket:
    """Return a new bucket of a server that holds the finished project's corpus, below ``data/``."""
    made = Bucket(s3_faults.connect(url), s3_faults.new_bucket(s3_faults.moto_server()), SOURCE)
    upload(made, finished_project() / "data", "data")
    return made


def on_s3(
    root: Path, bucket: Bucket, url: str, lake: str = "lake", like: Path | None = None
) -> Path:
    """Write a project's configuration (the finished one's), with sources and lake in a bucket."""
    root.mkdir()
    settings = read_settings(like or finished_project())
    for name, source in settings["corpus"]["sources"].items():
        source["path"] = bucket.url(f"data/{name}/*")
    settings["references"]["main"]["model"] = str(reference_folder())
    settings["lake"] = bucket.url(lake)
    settings["s3"] = {"endpoint": url, "region": "us-east-1", "max_attempts": 4}
    write_settings(root, settings)
    return root
