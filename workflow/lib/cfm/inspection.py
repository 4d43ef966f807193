"""What a file of this project holds, in a few lines: streams, packs, sketches, tables and weights."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cfm.errors import BitstreamError, InputError, WeightsError
from cfm.provenance import sha256_of

CHECKPOINTS = (".pth", ".pt", ".tar")


def describe(path: Path) -> list[str]:
    """Lines that tell what a file holds.

    Parameters
    ----------
    path : path
        A stream, a pack of streams, a sketch file, a Parquet table, a safetensors file or a checkpoint of torch.

    Raises
    ------
    InputError, BitstreamError, WeightsError
        If the file is absent, unknown or damaged.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; name a stream, pack, sketch, table or weights file")
    by_suffix: dict[str, Callable[[Path], Iterator[str]]] = {
        ".npz": sketch_lines,
        ".parquet": table_lines,
        ".safetensors": weights_lines,
    } | dict.fromkeys(CHECKPOINTS, checkpoint_lines)
    if path.suffix in by_suffix:
        return list(by_suffix[path.suffix](path))
    if zipfile.is_zipfile(path):
        return list(pack_lines(path))
    return [stream_line(path.name, path.read_bytes())]


def pack_lines(path: Path) -> Iterator[str]:
    """A line on the pack and one on each stream."""
    from cfm.codecs.pack import read_pack

    streams = read_pack(path)
    yield f"{path.name}: {len(streams)} streams, {sum(len(streams[name]) for name in streams)} bytes"
    for name in streams:
        yield stream_line(name, streams[name])


def stream_line(name: str, stream: bytes) -> str:
    """What one stream is: codec, geometry and size."""
    from cfm.codecs.annex_b import START_CODE
    from cfm.codecs.container import EXTERNAL_MAGIC, LEARNED_MAGIC, read_external, read_learned
    from cfm.codecs.downsampled import MAGIC as DOWNSAMPLED_MAGIC
    from cfm.codecs.downsampled import read_downsampled
    from cfm.codecs.registry import make_codec
    from cfm.codecs.sealed import codec_of
    from cfm.features.mosaic import HEADER_BYTES, read_header

    if stream.startswith(START_CODE):
        codec = make_codec(codec_of(stream))
        picture = codec.decode(stream)
        form = f"{picture.layout}, {picture.bit_depth} bit, {picture.width}x{picture.height}"
        return f"{name}: {codec.name}, Annex B, {form}, {len(stream)} bytes"
    magic = stream[0] if stream else None
    if magic == EXTERNAL_MAGIC:
        found = read_external(stream)
        form = f"{found.layout}, {found.bit_depth} bit, {found.width}x{found.height}"
        return f"{name}: {found.codec}, {form}, {len(stream)} bytes"
    if magic == LEARNED_MAGIC:
        model = read_learned(stream)
        form = f"point {model.point}, model {model.digest.hex()}, {model.bit_depth} bit, {model.width}x{model.height}"
        form += ", portable" if model.portable else ""
        return f"{name}: {model.family}, {form}, {len(stream)} bytes"
    if magic == DOWNSAMPLED_MAGIC:
        whole = read_downsampled(stream)
        form = f"downsampled from {whole.width}x{whole.height}, {len(stream)} bytes"
        return f"{name}: {form}, of which {stream_line('the smaller picture', whole.payload)}"
    try:
        scale, minimum, maximum = read_header(stream)
    except BitstreamError:
        raise BitstreamError(f"{name}: not a stream of this project; inspect what the workflow wrote") from None
    shape = f"{scale.channels}x{scale.height}x{scale.width} from {minimum:.4g} to {maximum:.4g}"
    return f"{name}: scale {shape}, {len(stream)} bytes, of which {stream_line('a mosaic', stream[HEADER_BYTES:])}"


def sketch_lines(path: Path) -> Iterator[str]:
    """A line on each picture's sketch, on a distortion or on a calibration."""
    from cfm.codecs.distortion import is_distortion, load_distortion
    from cfm.sensitivity.calibration import is_calibration, load_calibration
    from cfm.sensitivity.sketch_file import load_sketch, sketched_ids

    if is_distortion(path):
        found = load_distortion(path)
        parts = ("weights", "frequency", "samples", "factors", "pixels", "sketches")
        present = [name for name in parts if getattr(found, name) is not None]
        size = f"{found.width}x{found.height}"
        yield f"{path.name}: distortion for {size}, squared error and {', '.join(present) or 'nothing'}"
        return
    if is_calibration(path):
        known = load_calibration(path)
        kind = "scaled by objectness" if known.objectness else "as they are"
        yield f"{path.name}: calibration of {known.network} by {known.pictures} pictures, features {kind}"
        chroma = ", ".join(f"{weight:.3g}" for weight in known.chroma)
        yield f"  weights of Y, Cb, Cr {chroma}; chroma QP offset {known.chroma_qp_offset}"
        return
    for image_id in sketched_ids(path):
        sketch = load_sketch(path, image_id)
        height, width = sketch.y.shape[1:]
        weights = ", ".join(f"{weight:.4g}" for weight in sketch.mean_weights)
        yield (
            f"picture {image_id}: {sketch.probes} probes of {sketch.network}, {width}x{height}, "
            f"mean weights {weights} (Y, Cb, Cr), planes {sketch.picture_sha256[:12]}"
        )


def table_lines(path: Path) -> Iterator[str]:
    """Rows and columns of a table, with their units where the file has them."""
    import pyarrow
    import pyarrow.parquet

    try:
        file = pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path}: damaged table ({error}); delete it and run again") from None
    yield f"{path.name}: {file.metadata.num_rows} rows"
    for field in file.schema_arrow:
        unit = (field.metadata or {}).get(b"unit", b"").decode()
        yield f"  {field.name}: {field.type}" + (f", {unit}" if unit else "")


def weights_lines(path: Path) -> Iterator[str]:
    """Tensors of a weights file and what it says of itself."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            shapes = [file.get_slice(name).get_shape() for name in file.offset_keys()]
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: not a safetensors file ({error}); fetch or train it anew") from None
    parameters = sum(math.prod(shape) for shape in shapes)
    yield f"{path.name}: {len(shapes)} tensors, {parameters} values, {path.stat().st_size} bytes"
    yield from (f"  {key}: {value}" for key, value in sorted(metadata.items()))
    if not metadata:
        from cfm.codecs.learned.weights import read_tensors

        yield from network_lines(path, read_tensors(path)[0])


def checkpoint_lines(path: Path) -> Iterator[str]:
    """Tensors of a torch file, its checksum, and which network they are of."""
    from cfm.codecs.learned.weights import read_tensors

    tensors, _ = read_tensors(path)
    values = sum(tensor.numel() for tensor in tensors.values())
    yield f"{path.name}: {len(tensors)} tensors, {values} values, {path.stat().st_size} bytes"
    yield f"  sha256: {sha256_of(path)}"
    yield from network_lines(path, tensors)


def network_lines(path: Path, tensors: Mapping[str, Any]) -> Iterator[str]:
    """The learned codec that a file without a description holds, where it is one of ours, and whether it loads."""
    from cfm.codecs.learned.recognition import recognise_family
    from cfm.codecs.learned.weights import load_model

    family = recognise_family(tensors)
    if family is None:
        yield "  family: no learned codec of this project"
        return
    yield f"  family: {family}"
    try:
        loaded = load_model(path)
    except WeightsError as error:
        yield f"  does not load: {str(error).removeprefix(f'{path}: ')}"
        return
    sizes = {"N": loaded.architecture.channels, "M": loaded.architecture.latent_channels}
    yield f"  sizes: {', '.join(f'{name} {value}' for name, value in sizes.items())}"
    if loaded.architecture.groups:
        yield f"  groups: {', '.join(map(str, loaded.architecture.groups))}"
    yield f"  parameters: {sum(parameter.numel() for parameter in loaded.model.parameters())}"
