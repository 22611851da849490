"""Every reader of users' files: how a small valid file of it is made, and what is read from one."""

import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from safetensors.torch import save_file
from scipy.io import savemat

from tests.importance.shards import framed, jpeg_record
from tests.planted_rows import ledger_row, result_row
from tests.recordings import (
    arcaro_files,
    array_files,
    eeg2_files,
    laion_files,
    netcdf_files,
    nsd_files,
    rdm_files,
    things_fmri_files,
    triple_n_files,
    tvsd_files,
    voxel_files,
)
from tests.recordings.sweepmates import Mates
from tests.stimuli.planted_images import encoded
from zoo_eval.evaluations.gate import read_reference
from zoo_eval.files import nifti
from zoo_eval.importance import clickme, lab_pth
from zoo_eval.importance import folder as map_folder
from zoo_eval.importance.preparation import Preparation
from zoo_eval.paths import SweepPath
from zoo_eval.queries.connection import connect
from zoo_eval.recordings import ceiling_file, conversion, laion_splits, parquet, targets_file
from zoo_eval.recordings.arcaro import ArcaroSection
from zoo_eval.recordings.arrays import ArraysSection
from zoo_eval.recordings.brainscore import BrainscoreSection
from zoo_eval.recordings.nsd import NsdSection
from zoo_eval.recordings.parquet import ParquetSection
from zoo_eval.recordings.presentations import Presentations
from zoo_eval.recordings.presented import PresentedSection
from zoo_eval.recordings.rdm import RdmSection
from zoo_eval.recordings.spatial_arrays import SpatialArraysSection
from zoo_eval.recordings.things_eeg2 import ThingsEeg2Section
from zoo_eval.recordings.things_fmri import ThingsFmriSection
from zoo_eval.recordings.triple_n import TripleNSection
from zoo_eval.recordings.tvsd import TvsdSection
from zoo_eval.stimuli import ids
from zoo_eval.stimuli.brainscore import BrainScoreSection
from zoo_eval.stimuli.folder import read_folder
from zoo_eval.stimuli.laion import LaionSection
from zoo_eval.stimuli.nsd import NsdSection as NsdImagesSection
from zoo_eval.stimuli.parquet import ParquetImagesSection
from zoo_eval.stimuli.things import ThingsSection
from zoo_eval.stimuli.webdataset import WebDatasetSection
from zoo_eval.storage import records
from zoo_eval.store import Store
from zoo_eval.sweep import facts, toml
from zoo_eval.sweep import file as sweep_file
from zoo_eval.sweep.cards import CardFile
from zoo_eval.trial import Trial
from zoo_eval.weights import checkpoints

IDS = ("c", "a", "b", "d")
SHOWN = rdm_files.shown_set(IDS)
PIXELS = np.random.default_rng(0).integers(0, 256, (24, 30, 3), dtype=np.uint8)
SWEEP = """[store]
uri = "results/mine"
[models]
include = ["local/*"]
[stimuli.photos]
kind = "folder"
path = "images"
limit = 3
[[evaluations]]
kind = "accuracy"
stimuli = "photos"
"""
CARDS = '[[models]]\nname = "mine"\narchitecture = "timm/resnet18"\nyear = 2020\n'


@dataclass(frozen=True)
class Reader:
    """`make` writes a valid file below a folder; `read` gives what is in it, to be compared."""

    name: str
    make: Callable[[Path], Any]
    read: Callable[[Path], Any]

    def write(self, folder: Path) -> Path:
        """The valid file."""
        path = folder / self.name
        path.parent.mkdir(exist_ok=True)
        self.make(path)
        return path


def content(thing: Any) -> str:
    """A digest of arrays, tensors and what holds them."""
    sha = hashlib.sha256()

    def add(one: Any) -> None:
        if isinstance(one, torch.Tensor):
            sha.update(f"{one.dtype} {list(one.shape)}".encode())
            sha.update(one.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        elif isinstance(one, np.ndarray):
            sha.update(f"{one.dtype} {one.shape}".encode() + np.ascontiguousarray(one).tobytes())
        elif isinstance(one, dict):
            for key in sorted(one):
                sha.update(str(key).encode())
                add(one[key])
        elif isinstance(one, list | tuple):
            for part in one:
                add(part)
        else:
            sha.update(repr(one).encode())

    add(thing)
    return sha.hexdigest()


def images(path: Path) -> Any:
    return read_folder("set", path.parent, include=[path.name]).digest


def labels(path: Path) -> Any:
    folder = path.parent / "photos"
    return read_folder("set", folder, labels=path).labels


def with_photos(path: Path, text: str) -> None:
    folder = path.parent / "photos"
    folder.mkdir(exist_ok=True)
    for name in "abc":
        Image.new("RGB", (4, 4)).save(folder / f"{name}.png")
    path.write_text(text)


def rdm_hdf5(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("rdm", data=rdm_files.rdms(), fletcher32=True)
        file["stimulus_ids"] = np.array(IDS, h5py.string_dtype())


def rdm_structures(path: Path) -> None:
    held = np.empty((1, 2), dtype=[("RDM", "O"), ("name", "O")])
    for number, one in enumerate(rdm_files.rdms()):
        held[0, number] = (one, f"subject {number}")
    savemat(path, {"RDMs": held}, do_compression=True)


def rdm_tree(path: Path) -> None:
    pairs = rdm_files.rdms()[0][np.triu_indices(len(IDS), 1)].tolist()
    stimuli = [{"name": one} for one in IDS]
    path.write_text(json.dumps({"tasks": [{"stimuli": stimuli, "rdm": pairs}]}))


def rdm(path: Path) -> Any:
    section = RdmSection(stimuli="shown", path=SweepPath.of(path, None))
    return content(section.read("r", Mates(SHOWN)).rdms)


def of_maps(path: Path) -> Any:
    section = SpatialArraysSection(stimuli="shown", path=SweepPath.of(path, None))
    found = section.read("r", Mates(SHOWN)).spatial()
    return found.image_ids, found.channel_ids, content([found.maps, found.repetitions])


def maps(save: Callable[..., Any]) -> Callable[[Path], None]:
    values = np.random.default_rng(0).standard_normal((4, 2, 3, 3, 2))
    return lambda path: save(path, maps=values, image_ids=np.array(IDS))


def recording(path: Path) -> None:
    rows = [
        {"stimulus_id": s, "repetition": r, "target_id": t, "response": float(n) + r}
        for n, s in enumerate(IDS) for r in (0, 1) for t in ("t1", "t2")
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), path)


def shards(path: Path) -> None:
    path.write_bytes(b"".join(framed(jpeg_record(n, n)) for n in range(2)))


def of_clickme(path: Path) -> Any:
    stimuli, maps = clickme.read(
        "maps", path.parent, shards=path.name, preparation=Preparation(16, None), human_ceiling=None
    )
    return stimuli.digest, content(maps.maps)


def lab_file(path: Path) -> None:
    image = torch.from_numpy(PIXELS[:24, :24].transpose(2, 0, 1).copy())
    heatmap = torch.arange(24 * 24).reshape(1, 24, 24).remainder(256).to(torch.uint8)
    torch.save({"image": image, "heatmap": heatmap, "label": torch.tensor(3)}, path)


def of_lab(path: Path) -> Any:
    stimuli, maps = lab_pth.read(
        "maps", path.parent, files=path.name, preparation=Preparation(16, None)
    )
    return stimuli.digest, content(maps.maps)


def of_map_folder(path: Path) -> Any:
    shown = rdm_files.shown_set([path.stem])
    maps = map_folder.read(
        "maps", shown, path.parent, preparation=Preparation(8, None), human_ceiling=None
    )
    return content(maps.maps)


def state(seed: int = 0) -> dict[str, torch.Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return {name: torch.randn(8, 9, generator=rng) for name in ("conv.weight", "head.weight")}


def h5(path: Path) -> None:
    rdm_files.mat73(path, rdm=rdm_files.rdms())


def keras(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for name, tensor in state().items():
            layer = name.partition(".")[0]
            file[f"model_weights/{layer}/{layer}/kernel:0"] = tensor.numpy()


def reference(path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(path, pixels=PIXELS[None, :8, :8], logits=rng.standard_normal((1, 10)))


def of_sweep(path: Path) -> Any:
    return sweep_file.read(path, path.parent).model_dump_json()


def of_cards(path: Path) -> Any:
    return toml.read(path, CardFile, path.parent).model_dump_json()


def of_facts(path: Path) -> Any:
    return repr(sorted(facts.read(path).rows.items()))


def of_ceilings(path: Path) -> Any:
    return ceiling_file.read("r", path, ("t1", "t2"), "variance").digest


def of_store(path: Path) -> Any:
    """Everything that a store's tables and views hold."""
    connection = connect(Store(str(path.parent.parent)))
    names = ("trials", "accuracy", "leaderboard", "failures")
    return [repr(connection.query(f"SELECT * FROM {name}").to_pylist()) for name in names]


def stored() -> Callable[[Path], None]:
    """Makes a store of one commit, one of whose files is the one to be damaged."""

    def make(path: Path) -> None:
        store = Store(str(path.parent.parent), create=True)
        trials = [trial(number) for number in range(3)]
        rows = [result_row("accuracy", one, top1=0.5) for one in trials]
        commit = store.commit({"accuracy": rows}, [ledger_row(one) for one in trials])
        for written in path.parent.parent.glob("*/*.parquet"):
            written.rename(written.with_name("commit.parquet"))
        (ledger,) = path.parent.parent.glob("ledger/*.json")
        text = ledger.read_text().replace(f"/{commit}.parquet", "/commit.parquet")
        named = json.loads(text)
        del named["digest"]
        ledger.write_bytes(records.as_bytes(named))

    return make


def trial(number: int) -> Trial:
    return Trial(
        "accuracy", 1, "standard", model=f"local/m{number}", weights_digest="w", architecture="x",
        transform={}, stimuli="photos", stimuli_digest="p", seed=number,
    )  # fmt: skip


def saved(**options: Any) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(PIXELS).save(path, **options)


def presented(section: PresentedSection, path: Path) -> Any:
    """Everything that a recording of presentations says and holds."""
    found = section.presentations("recording 'r'", 2**28)
    responses = found.read(np.arange(found.targets.num_rows))
    named = [list(found.stimulus_ids), list(found.sessions or ()), found.targets.to_pydict()]
    return content([responses, *named, {key: list(one) for key, one in found.splits.items()}])


def beside(path: Path, name: str) -> SweepPath:
    return SweepPath.of(name, path.parent)


def of_arrays(path: Path) -> Any:
    return presented(ArraysSection(stimuli="shown", path=SweepPath.of(path, None)), path)


def of_nifti(path: Path) -> Any:
    return content(list(nifti.opened(path).volumes()))


def of_nsd(path: Path) -> Any:
    section = NsdSection(
        stimuli="shown", path=beside(path, "."), subject=nsd_files.SUBJECT,
        design=beside(path, "nsd_expdesign.mat"), mask=beside(path, "mask.nii.gz"),
    )  # fmt: skip
    return presented(section, path)


def with_nsd(path: Path) -> None:
    nsd_files.folder(path.parent, sessions=(1,))
    nsd_files.design(path.parent / "nsd_expdesign.mat", n_sessions=1)


def of_things(path: Path) -> Any:
    return presented(ThingsFmriSection(stimuli="shown", path=beside(path, "."), subject="01"), path)


def with_things(path: Path) -> None:
    things_fmri_files.folder(path.parent, things_fmri_files.planted())


def of_eeg(path: Path) -> Any:
    images = beside(path, "image_metadata.npy")
    return presented(
        ThingsEeg2Section(stimuli="shown", path=beside(path, "."), images=images), path
    )


def of_triple_n(path: Path) -> Any:
    section = TripleNSection(
        stimuli="shown", path=beside(path, triple_n_files.NAME.format(1, 1)),
        design=beside(path, "nsd_expdesign.mat"), processed=beside(path, "."),
        areas=beside(path, "areas.csv"), window_ms=(1, 4), onset_ms=triple_n_files.ONSET,
    )  # fmt: skip
    return presented(section, path)


def with_triple_n(path: Path) -> None:
    triple_n_files.session(path.parent, chunks=(4, 1072, 2))
    triple_n_files.processed(path.parent)
    triple_n_files.design(path.parent / "nsd_expdesign.mat")
    triple_n_files.areas(path.parent / "areas.csv")


def of_good_unit(path: Path) -> Any:
    section = TripleNSection(
        stimuli="shown", path=beside(path, path.name), design=beside(path, "nsd_expdesign.mat"),
        window_ms=(1, 4), onset_ms=triple_n_files.ONSET,
    )  # fmt: skip
    return presented(section, path)


def with_good_unit(path: Path) -> None:
    triple_n_files.good_unit(path.parent, 11, chunks=(4, 500))
    triple_n_files.design(path.parent / "nsd_expdesign.mat")


def of_monkey(path: Path) -> Any:
    shown = rdm_files.shown_set(arcaro_files.IDS)
    section = ArcaroSection(stimuli="shown", path=SweepPath.of(path, None), window_ms=(2, 5))
    found = section.read("r", Mates(shown)).spatial()
    return found.image_ids, found.channel_ids, content(found.maps)


def of_assembly(path: Path) -> Any:
    return presented(BrainscoreSection(stimuli="shown", path=SweepPath.of(path, None)), path)


def assembly(path: Path) -> None:
    netcdf_files.assembly(
        path, dims=("presentation", "neuroid", "time_bin"), n_stimuli=4, n_repetitions=2, n_neuroids=3,
        fletcher32=True, chunks=(8, 3, 1),
    )  # fmt: skip


def of_tvsd(path: Path) -> Any:
    section = TvsdSection(
        stimuli="shown", path=SweepPath.of(path, None), images=beside(path, "things_imgs.mat"),
        monkey="N",
    )  # fmt: skip
    found = section.presentations("recording 'r'", 2**28)
    return content([found.read(np.arange(0, 1024, 100)), found.targets.to_pydict()])


def with_tvsd(path: Path) -> None:
    train, test = tvsd_files.names(3, "train"), tvsd_files.names(2, "test")
    tvsd_files.images(path.parent / "things_imgs.mat", train, test)
    tvsd_files.norm_mua(
        path, n_train=3, n_test=2, n_repetitions=4, chunks=(1, 1024), fletcher32=True
    )


def with_long(path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((6, 3))
    values[1, 1] = np.nan
    table = pa.table({"target_id": ["t1", "t2", "t3"], "depth": [0.5, 1.0, 2.0]})
    shown = [*IDS, *IDS[:2]]
    held = Presentations(
        "r", (), shown, table, lambda those: values[:, those], sessions=list("mmmttt"),
        splits={"tau": ["train", "test", "", "", "train", "test"]}, notes=("planted",),
    )  # fmt: skip
    conversion.write(held, path.parent, 2**28)


def of_long(path: Path) -> Any:
    return presented(ParquetSection(stimuli="shown", path=SweepPath.of(path.parent, None)), path)


def of_split(path: Path) -> Any:
    sides, _ = laion_splits.read("r", path, ["a", "b", "c"])
    return {key: list(one) for key, one in sides.items()}


def of_targets(path: Path) -> Any:
    return content(targets_file.read("r", path, 2**28).to_pydict())


def targets(path: Path) -> None:
    table = {
        "target_id": ["t1", "t2", "t3"],
        "region": ["IT", None, "V4"],
        "depth": [0.5, 1.0, 2.0],
    }
    pq.write_table(pa.table(table), path)


def whole(section: Any) -> Any:
    """Ids, labels and pixels of what a section of stimuli reads."""
    stimuli = section.read("set", Mates(SHOWN))
    return stimuli.ids, stimuli.labels, content(list(stimuli.images))


def brick(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("imgBrick", data=PIXELS[None, :8, :8].repeat(3, 0), chunks=(1, 8, 8, 3))


def jpeg_rows(path: Path) -> None:
    with h5py.File(path, "w") as file:
        images = file.create_dataset("images", (2,), h5py.vlen_dtype(np.uint8))
        for number in range(2):
            images[number] = np.frombuffer(encoded(PIXELS[number:]), np.uint8)
    (path.parent / "laion_metadata.csv").write_text("image_name\na.jpg\nb.jpg\n")


def of_jpeg_rows(path: Path) -> Any:
    return whole(LaionSection(path=path, metadata=path.parent / "laion_metadata.csv"))


def image_zip(path: Path) -> None:
    (path.parent / "set.csv").write_text("stimulus_id,filename\na,a.png\nb,b.jpg\n")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", encoded(PIXELS, "PNG"))
        archive.writestr("b.jpg", encoded(PIXELS))


def image_csv(path: Path) -> None:
    image_zip(path.parent / "of_csv.zip")
    path.write_text("stimulus_id,object_name,filename\na,car,a.png\nb,face,b.jpg\n")


def shard(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        for name, data in {
            "0.jpg": encoded(PIXELS),
            "0.cls": b"3",
            "1.jpg": encoded(PIXELS[1:]),
            "1.cls": b"4",
        }.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def image_rows(path: Path) -> None:
    images = [{"bytes": encoded(PIXELS[number:]), "path": f"{number}.jpg"} for number in range(3)]
    table = pa.table({"image": images, "label": [1, 2, 3]})
    pq.write_table(table, path, row_group_size=2, write_page_checksum=True)


def things_list(path: Path) -> None:
    with_photos(path.parent / "labels_of_things.csv", "")
    path.write_text("stimulus\na.png\nb.png\n")


def things_mat(path: Path) -> None:
    with_photos(path.parent / "labels_of_things.csv", "")
    with h5py.File(path, "w") as file:
        for part, name in (("train", "a"), ("test", "b")):
            codes = np.frombuffer(f"photos\\{name}.png".encode("utf-16-le"), np.uint16)[:, None]
            item = file.create_dataset(f"#refs#/{name}", data=codes)
            item.attrs["MATLAB_class"] = np.bytes_("char")
            file.create_dataset(f"{part}_imgs/things_path", data=[[item.ref]], dtype=h5py.ref_dtype)


def design(path: Path) -> None:
    brick(path.parent / "of_design.hdf5")
    savemat(
        path, {"subjectim": np.tile([1, 3], (8, 1)), "sharedix": [[3]], "masterordering": [[2, 1]]}
    )


def of_design(path: Path) -> Any:
    return whole(NsdImagesSection(path=path.parent / "of_design.hdf5", design=path, subject=2))


READERS = (
    Reader("image.png", saved(), images),
    Reader("image.jpg", saved(quality=90), images),
    Reader("image.webp", saved(), images),
    Reader("image.bmp", saved(), images),
    Reader("image.tif", saved(), images),
    Reader("deflated.tif", saved(compression="tiff_deflate"), images),
    Reader("labels.csv", lambda path: with_photos(path, "image,label\na,1\nb,2\nc,goldfish\n"), labels),
    Reader("facts.csv", lambda path: path.write_text("model,year\ntimm/a,2020\ntimm/b,2021\n"), of_facts),
    Reader("ceilings.csv", lambda path: path.write_text("target,ceiling\nt1,0.5\nt2,0.25\n"), of_ceilings),
    Reader("rdm.csv", lambda path: rdm_files.csv_rows(path, rdm_files.rdms()[0].tolist()), rdm),
    Reader("rdm.npz", lambda path: rdm_files.npz(path, rdm=rdm_files.rdms()), rdm),
    Reader("rdm5.mat", lambda path: rdm_files.mat(path, rdm=rdm_files.rdms()), rdm),
    Reader("rdm73.mat", h5, rdm),
    Reader("rdm.npy", lambda path: np.save(path, rdm_files.rdms()), rdm),
    Reader("rdm.tsv", lambda path: path.write_text("\n".join("\t".join(map(repr, row)) for row in rdm_files.rdms()[0].tolist())), rdm),
    Reader("rdm.h5", rdm_hdf5, rdm),
    Reader("struct.mat", rdm_structures, rdm),
    Reader("tree.json", rdm_tree, rdm),
    Reader("maps.npz", maps(rdm_files.npz), of_maps),
    Reader("maps5.mat", maps(rdm_files.mat), of_maps),
    Reader("maps73.mat", maps(rdm_files.mat73), of_maps),
    Reader("ids.txt", lambda path: path.write_text("a.png\nb.png\nc.png\n"), ids.listed),
    Reader("semicolons.csv", lambda path: path.write_text("target;ceiling\nt1;0,5\nt2;0,25\n"), of_ceilings),
    Reader("sweep.toml", lambda path: path.write_text(SWEEP), of_sweep),
    Reader("cards.toml", lambda path: path.write_text(CARDS), of_cards),
    Reader("weights.pth", lambda path: torch.save(state(), path), lambda path: content(checkpoints.read(path))),
    Reader("weights.safetensors", lambda path: save_file(state(), path), lambda path: content(checkpoints.read(path))),
    Reader("weights.h5", keras, lambda path: content(checkpoints.read(path))),
    Reader("recording.parquet", recording, lambda path: content(parquet.read("r", path, SHOWN).repeated().padded())),
    Reader("clicks.tfrecords", shards, of_clickme),
    Reader("lab.pth", lab_file, of_lab),
    Reader("map.npy", lambda path: np.save(path, np.arange(64.0).reshape(8, 8)), of_map_folder),
    Reader("map.png", lambda path: Image.fromarray(PIXELS[:24, :24, 0]).save(path), of_map_folder),
    Reader("trials/commit.parquet", stored(), of_store),
    Reader("accuracy/commit.parquet", stored(), of_store),
    Reader("ledger/00000001.json", stored(), of_store),
    Reader("nsd.hdf5", brick, lambda path: whole(NsdImagesSection(path=path))),
    Reader("nsd_design.mat", design, of_design),
    Reader("laion.h5", jpeg_rows, of_jpeg_rows),
    Reader("images.zip", image_zip, lambda path: whole(BrainScoreSection(path=path.parent / "set.csv", images=path))),
    Reader("images.csv", image_csv, lambda path: whole(BrainScoreSection(path=path, images=path.parent / "of_csv.zip"))),
    Reader("shard.tar", shard, lambda path: whole(WebDatasetSection(path=path.parent, shards=path.name))),
    Reader("images.parquet", image_rows, lambda path: whole(ParquetImagesSection(path=path, label="label"))),
    Reader("things.csv", things_list, lambda path: whole(ThingsSection(path=path.parent, images=path))),
    Reader("things_imgs.mat", things_mat, lambda path: whole(ThingsSection(path=path.parent, images=path))),
    Reader("reference.npz", reference, lambda path: content(read_reference(path))),
    Reader("volumes.nii", lambda path: voxel_files.nifti(path, laion_files.betas("ses-01")), of_nifti),
    Reader("volumes.nii.gz", lambda path: voxel_files.nifti(path, laion_files.betas("ses-01")), of_nifti),
    Reader("nsd/betas_session01.hdf5", with_nsd, of_nsd),
    Reader("design/nsd_expdesign.mat", with_nsd, of_nsd),
    Reader("frame/sub-01_ResponseData.h5", with_things, of_things),
    Reader("trials/sub-01_StimulusMetadata.csv", with_things, of_things),
    Reader("voxels/sub-01_VoxelMetadata.csv", with_things, of_things),
    Reader("eeg/preprocessed_eeg_test.npy", lambda path: eeg2_files.folder(path.parent), of_eeg),
    Reader("images/image_metadata.npy", lambda path: eeg2_files.folder(path.parent), of_eeg),
    Reader("triple/ses01_240629_M1_2.h5", with_triple_n, of_triple_n),
    Reader("units/Processed_ses01_240629_M1_2.mat", with_triple_n, of_triple_n),
    Reader("shared/nsd_expdesign.mat", with_triple_n, of_triple_n),
    Reader("areas/areas.csv", with_triple_n, of_triple_n),
    Reader(f"good/{triple_n_files.GOOD[11]}", with_good_unit, of_good_unit),
    Reader("monkey5.mat", arcaro_files.monkey, of_monkey),
    Reader("assembly.nc", assembly, of_assembly),
    Reader("tvsd/THINGS_normMUA.mat", with_tvsd, of_tvsd),
    Reader("long/responses.parquet", with_long, of_long),
    Reader("shown/presentations.parquet", with_long, of_long),
    Reader("tau.json", lambda path: laion_files.split(path, ["a"], ["b"]), of_split),
    Reader("targets.parquet", targets, of_targets),
    Reader("arrays.csv", lambda path: array_files.csv_file(path, array_files.planted()), of_arrays),
    Reader("arrays.npz", lambda path: np.savez(path, it=array_files.planted(), stimulus_ids=array_files.IDS), of_arrays),
)  # fmt: skip
