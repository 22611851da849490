"""Files of THINGS-fMRI's table format: a frame as pandas stores it in HDF5, written by hand, and CSVs."""

import pickle

import h5py
import numpy as np

SUBJECT = "01"
TRIALS = (
    ("train", 1, "dog_12s.jpg"), ("test", 1, "candelabra_14s.jpg"), ("train", 1, "mango_12s.jpg"),
    ("test", 2, "candelabra_14s.jpg"), ("train", 2, "spatula_12s.jpg"), ("test", 2, "panda_14n.jpg"),
)  # fmt: skip
VOXEL_IDS = (0, 1, 2, 5, 7)


def planted():
    """Responses (trial, voxel)."""
    return np.random.default_rng(3).standard_normal((len(TRIALS), len(VOXEL_IDS)))


def stored(group, name, values, **attrs):
    """An array as pandas writes it: the transpose of what it holds, which it says."""
    item = group.create_dataset(name, data=values)
    item.attrs.update({"CLASS": np.bytes_("ARRAY"), "transposed": np.uint8(1), **attrs})
    return item


def labels(group, name, columns):
    """Labels of columns: text, whole numbers, or a pickle where they are of an index of objects."""
    if isinstance(columns, bytes):
        kind = h5py.vlen_dtype(np.uint8)
        item = group.create_dataset(name, (1,), kind, maxshape=(None,), chunks=(16,))
        item[0] = np.frombuffer(columns, np.uint8)
        item.attrs.update({"CLASS": np.bytes_("VLARRAY"), "PSEUDOATOM": np.bytes_("object")})
    else:
        kind = "string" if isinstance(columns[0], str) else "integer"
        encoded = np.array([one.encode() if kind == "string" else one for one in columns])
        stored(group, name, encoded, kind=np.bytes_(kind))


def pickled(columns):
    return pickle.dumps(np.array([*columns, None], dtype=object)[:-1], protocol=4)


def fixed(path, responses, voxel_ids=VOXEL_IDS, *, columns="pickled", transposed=True):
    """The fixed layout: numbers of trials in one block, ids of voxels in another."""
    trials = list(range(len(responses)))
    named = {"pickled": pickled(trials), "numbers": trials, "text": [str(one) for one in trials]}
    with h5py.File(path, "w") as file:
        group = file.create_group("ResponseData")
        group.attrs.update(
            pandas_type=np.bytes_("frame"), encoding=np.bytes_("UTF-8"), ndim=2, nblocks=2,
            axis0_variety=np.bytes_("regular"), axis1_variety=np.bytes_("regular"),
        )  # fmt: skip
        labels(group, "axis0", pickled(["voxel_id", *trials]))
        labels(group, "axis1", list(range(len(voxel_ids))))
        labels(group, "block0_items", named[columns])
        values = responses.T if transposed else responses
        stored(group, "block0_values", values, transposed=np.uint8(transposed))
        labels(group, "block1_items", ["voxel_id"])
        stored(group, "block1_values", np.array(voxel_ids)[:, None])
    return path


def table(path, responses, voxel_ids=VOXEL_IDS):
    """The layout of tables: a row per voxel, and the columns of each field in a pickle of old."""
    kinds = [
        ("index", "i8"),
        ("values_block_0", "f8", (len(responses),)),
        ("values_block_1", "i8", (1,)),
    ]
    rows = np.zeros(len(voxel_ids), np.dtype(kinds))
    rows["index"] = np.arange(len(rows))
    rows["values_block_0"] = responses.T
    rows["values_block_1"] = np.array(voxel_ids)[:, None]
    with h5py.File(path, "w") as file:
        group = file.create_group("ResponseData")
        group.attrs.update(pandas_type=np.bytes_("frame_table"), nblocks=2)
        item = group.create_dataset("table", data=rows, chunks=(2,), maxshape=(None,))
        trials = [str(one) for one in range(len(responses))]
        item.attrs["values_block_0_kind"] = np.bytes_(pickle.dumps(trials, protocol=0))
        item.attrs["values_block_1_kind"] = np.bytes_(pickle.dumps(["voxel_id"], protocol=0))
    return path


def stimulus_metadata(path, trials=TRIALS):
    lines = ["trial_type,session,run,subject_id,trial_id,stimulus,concept"]
    for number, (kind, session, stimulus) in enumerate(trials):
        concept = stimulus.rpartition("_")[0]
        lines.append(f"{kind},{session},1,1,{number},{stimulus},{concept}")
    path.write_text("\n".join(lines) + "\n")
    return path


def voxel_metadata(path, voxel_ids=VOXEL_IDS):
    """In another order than the responses; the third voxel has no ceiling."""
    lines = ["voxel_id,subject_id,voxel_x,nc_singletrial,prf-size,V1,lFFA"]
    for one in sorted(voxel_ids, reverse=True):
        ceiling = "nan" if one == 2 else one / 4
        lines.append(f"{one},1,{one + 10},{ceiling},{one * 0.5},{int(one < 3)},{int(one == 7)}")
    path.write_text("\n".join(lines) + "\n")
    return path


def folder(path, responses, write=fixed, **options):
    """One subject's three files."""
    path.mkdir(parents=True, exist_ok=True)
    name = f"sub-{SUBJECT}"
    write(path / f"{name}_ResponseData.h5", responses, **options)
    stimulus_metadata(path / f"{name}_StimulusMetadata.csv")
    voxel_metadata(path / f"{name}_VoxelMetadata.csv")
    return path
