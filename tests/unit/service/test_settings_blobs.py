# SPDX-License-Identifier: Apache-2.0
"""``[blobs]``: where a bucket is and what opens it, read strictly."""

from __future__ import annotations

from pathlib import Path

import pytest

import engines
from incamera.errors import InputError
from incamera.ids import digest
from incamera.service.settings_blobs import BlobSettings
from incamera.service.toml import read_table

KEYS = 'access_key_id = "a"\nsecret_access_key = "b"\n'


def told(folder: Path, keys: str = KEYS, mode: int = 0o600, **changed: str) -> BlobSettings:
    """What a file with these lines says."""
    (folder / "s3.toml").write_text(keys)
    (folder / "s3.toml").chmod(mode)
    values = {
        "url": "s3://capsules/eu/one",
        "endpoint": "https://store.example:9000",
        "region": "eu-central-1",
        "credentials": "s3.toml",
        **changed,
    }
    lines = [f'{key} = "{value}"' for key, value in values.items()]
    file = folder / "vault.toml"
    file.write_text("\n".join(["[blobs]", *lines]))
    table = read_table(file)
    found = BlobSettings.take(table)
    table.done()
    assert found is not None
    return found


def test_a_vault_without_the_table_keeps_files(tmp_path: Path) -> None:
    """The embedded default."""
    file = tmp_path / "vault.toml"
    file.write_text("")
    assert BlobSettings.take(read_table(file)) is None


def test_bucket_prefix_endpoint_and_files_are_read(tmp_path: Path) -> None:
    """Each key, paths from the folder of the file."""
    (tmp_path / "ca.pem").write_text("pem")
    found = told(tmp_path, ca="ca.pem")
    assert (found.bucket, found.prefix, found.region) == ("capsules", "eu/one", "eu-central-1")
    assert found.endpoint == "https://store.example:9000"
    assert (found.credentials, found.ca) == (tmp_path / "s3.toml", tmp_path / "ca.pem")
    assert told(tmp_path, url="s3://capsules").prefix == ""


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("url", "https://capsules"),
        ("url", "s3://Capsules"),
        ("url", "s3://capsules/../other"),
        ("url", "s3://capsules/a//b"),
        ("endpoint", "store.example"),
        ("endpoint", "https://store.example/capsules"),
        ("endpoint", "https://me:secret@store.example"),
        ("endpoint", "https://store.example:port"),
        ("endpoint", "https://store.example?a"),
        ("credentials", "missing.toml"),
        ("ca", "missing.pem"),
        ("more", "of it"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, key: str, value: str) -> None:
    """The file, the key, and nothing guessed."""
    with pytest.raises(InputError, match=f"blobs.{key}"):
        told(tmp_path, KEYS, 0o600, **{key: value})


def test_credentials_that_others_may_read_are_refused(tmp_path: Path) -> None:
    """As any key file."""
    with pytest.raises(InputError, match=r"other users may read these credentials .mode 0640"):
        told(tmp_path, mode=0o640).open(tmp_path)


@pytest.mark.parametrize("keys", ["", 'access_key_id = "a"\n', KEYS + 'role = "x"\n', "no toml"])
def test_a_credentials_file_has_its_two_keys_and_no_others(tmp_path: Path, keys: str) -> None:
    """A typo is not an empty secret."""
    with pytest.raises(InputError, match=r"s3\.toml"):
        told(tmp_path, keys=keys).open(tmp_path)


def test_certificates_that_are_none_are_told_of(tmp_path: Path) -> None:
    """Before anything is connected to."""
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")
    with pytest.raises(InputError, match="cannot be used"):
        told(tmp_path, ca="ca.pem").open(tmp_path)


def test_the_store_that_the_settings_name_is_opened(tmp_path: Path) -> None:
    """Proven, and ready."""
    with engines.s3() as engine:
        blobs = told(tmp_path, endpoint=engine.url).open(tmp_path)
        blobs.put(digest(b"x"), [b"x"])
        assert list(blobs.names()) == [digest(b"x")]
