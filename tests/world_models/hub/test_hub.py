"""Models to and from the Hugging Face Hub, whose client is played by a folder."""

import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from tiny_models import TINY, at_random

from world_models.checkpoint import CheckpointError, read_model, write_model
from world_models.hub.repository import FromHub, find_model
from world_models.keyin.model import KeyIn
from world_models.struct_vrnn.model import StructVRNN
from world_models.tap.model import Tap


class Hub(ModuleType):
    """What is asked of huggingface_hub, with repositories in a folder."""

    def __init__(self, folder):
        super().__init__("huggingface_hub")
        self.folder, self.private = folder, {}
        self.HfApi = lambda: self

    def snapshot_download(self, repo_id, *, revision=None, allow_patterns=None):
        source = self.folder / repo_id
        if not source.is_dir() or revision not in (None, "main"):
            raise OSError(f"404: there is no {repo_id} at {revision}")
        copied = self.folder / "cache" / repo_id
        copied.mkdir(parents=True, exist_ok=True)
        for path in source.iterdir():
            if path.name in allow_patterns:
                shutil.copy(path, copied)
        return str(copied)

    def create_repo(self, repo_id, *, private=False, exist_ok=False):
        if repo_id.startswith("theirs/"):
            raise OSError("403: not yours")
        (self.folder / repo_id).mkdir(parents=True, exist_ok=exist_ok)
        self.private[repo_id] = private
        return f"https://hub.example/{repo_id}"

    def upload_folder(self, *, repo_id, folder_path, commit_message):
        for path in Path(folder_path).iterdir():
            shutil.copy(path, self.folder / repo_id)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    hub = Hub(tmp_path / "hub")
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    return hub


@pytest.fixture
def folder(tmp_path):
    write_model(tmp_path / "model", TINY, at_random(lambda: StructVRNN(TINY)), "# Tiny\n")
    (tmp_path / "model" / "notes.txt").write_text("private")
    return tmp_path / "model"


def test_a_model_makes_a_round_trip(hub, folder):
    assert StructVRNN.push_to_hub(folder, "me/tiny", private=True) == "https://hub.example/me/tiny"
    assert hub.private == {"me/tiny": True}
    assert not (hub.folder / "me/tiny/notes.txt").exists(), "only files of a model folder travel"
    there, here = StructVRNN.from_pretrained("me/tiny", revision="main"), StructVRNN.load(folder)
    for name, tensor in here.state_dict().items():
        assert torch.equal(there.state_dict()[name], tensor), name
    assert read_model(find_model("me/tiny")).digest == read_model(folder).digest


def test_weights_in_pieces_become_whole(hub):
    Tap.push_to_hub("tap-push", "me/tap")
    assert read_model(hub.folder / "me/tap").digest == read_model(find_model("tap-push")).digest
    KeyIn.push_to_hub("keyin-push", "me/keyin")
    assert read_model(find_model("me/keyin")).digest == read_model(find_model("keyin-push")).digest


def test_folders_and_shipped_names_need_no_hub(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert StructVRNN.from_pretrained(folder).config == TINY
    assert Tap.from_pretrained("tap-push").config.kind == "tap"
    with pytest.raises(ValueError, match=r"need huggingface_hub: pip install 'waymark\[hub\]'"):
        StructVRNN.from_pretrained("me/tiny")


@pytest.mark.parametrize("kind", [KeyIn, StructVRNN, Tap])
def test_model_classes_know_the_hub(kind):
    assert issubclass(kind, FromHub)


def test_what_cannot_be_fetched_or_written_is_said(hub, folder):
    with pytest.raises(ValueError, match="me/none is no model folder here, and cannot be fetched"):
        StructVRNN.from_pretrained("me/none")
    with pytest.raises(ValueError, match=r"no model 'nothing'; shipped: .*path of a model folder"):
        StructVRNN.from_pretrained("nothing")
    with pytest.raises(ValueError, match="is no repository of the Hub, and has no revision 'v1'"):
        StructVRNN.from_pretrained(folder, revision="v1")
    with pytest.raises(ValueError, match="'tiny' names no repository; give OWNER/NAME"):
        StructVRNN.push_to_hub(folder, "tiny")
    with pytest.raises(ValueError, match="theirs/tiny cannot be written: 403"):
        StructVRNN.push_to_hub(folder, "theirs/tiny")
    with pytest.raises(CheckpointError, match="is no KeyInConfig"):
        KeyIn.push_to_hub(folder, "me/tiny")
    (hub.folder / "me/empty").mkdir(parents=True)
    with pytest.raises(CheckpointError, match="me/empty holds no model folder"):
        StructVRNN.from_pretrained("me/empty")
    StructVRNN.push_to_hub(folder, "me/tiny")
    (hub.folder / "me/tiny/card.md").write_text("# Another\n")
    with pytest.raises(CheckpointError, match="differs from the SHA-256"):
        StructVRNN.from_pretrained("me/tiny")
