"""Precoding and decoding of a shard: every byte on disk in the table, each stream decoded once, damage named."""

import json
import zlib

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from cfm.codecs.pack import PackWriter, read_pack
from cfm.codecs.picture import Picture
from cfm.data.shards import source_pictures
from cfm.errors import BitstreamError, InputError
from cfm.features.decoding import allocated_outcomes, chosen_streams, degraded_pyramids
from cfm.features.extraction import extract
from cfm.features.precoding import PrecodedScales, precode


class ZlibCodec:
    """Drops `point` bits of every sample and compresses; counts what it decodes."""

    name, layout = "zlib", "rgb"

    def __init__(self):
        self.decoded = 0

    def encode(self, picture, point):
        planes = np.stack(picture.planes) >> point << point
        head = json.dumps([len(planes), picture.height, picture.width]).encode()
        return head + b"\n" + zlib.compress(planes.tobytes())

    def decode(self, stream):
        self.decoded += 1
        head, _, body = stream.partition(b"\n")
        try:
            planes = np.frombuffer(zlib.decompress(body), np.uint16).reshape(json.loads(head))
        except (zlib.error, ValueError) as error:
            raise BitstreamError(f"broken: {error}") from None
        return Picture(tuple(planes), "rgb", 16)


class MeanNetwork:
    """Two scales of averages; its prediction is the mean of each scale."""

    name, task = "mean", "detection"

    def __init__(self):
        self.predicted = 0

    def prepare(self, image):
        return image[None]

    def features(self, prepared):
        pool = torch.nn.functional.avg_pool2d
        return [pool(torch.cat([prepared, 1 - prepared], 1), 2), pool(prepared, 8)]

    def predict(self, features, prepared):
        self.predicted += 1
        return {"scores": torch.stack([feature.mean() for feature in features])}


@pytest.fixture
def shard(tmp_path):
    rng = np.random.default_rng(0)
    for image_id in (5, 900):
        Image.fromarray(rng.integers(0, 256, (32, 48, 3), dtype=np.uint8)).save(tmp_path / f"{image_id}.png")
    subset = pd.DataFrame({"image_id": [5, 900, 7], "file_name": ["5.png", "900.png", "7.png"], "shard": [0, 0, 1]})
    return source_pictures(subset, 0, tmp_path)


@pytest.fixture
def coded(shard, tmp_path):
    packs = {point: tmp_path / f"{point}.zip" for point in (2, 9)}
    tables = [precode(MeanNetwork(), ZlibCodec(), shard, point, path) for point, path in packs.items()]
    return packs, pd.concat(tables, ignore_index=True)


def test_the_table_says_what_is_on_disk(coded):
    packs, streams = coded
    for row in streams.itertuples():
        assert row.size_bytes == len(read_pack(packs[row.point])[f"{row.image_id:012d}/{row.scale}"])
    assert len(streams) == 2 * 2 * 2
    assert set(streams["source_pixels"]) == {32 * 48}
    assert streams.groupby("scale")["samples"].first().tolist() == [2 * 1 * 16 * 24, 4 * 6]


def test_precoding_twice_gives_the_same_bytes(coded, shard, tmp_path):
    precode(MeanNetwork(), ZlibCodec(), shard, 9, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == coded[0][9].read_bytes()


def test_decoded_scales_are_near_the_lossless_ones_and_nearer_at_the_finer_point(coded, shard):
    precoded = PrecodedScales(ZlibCodec(), coded[0])
    network = MeanNetwork()
    for picture in shard:
        with Image.open(picture.path) as image:
            features = extract(network, np.asarray(image)).features
        for scale, feature in enumerate(features):
            errors = [
                float((precoded.decode(picture.image_id, scale, point, feature) - feature).abs().max())
                for point in (2, 9)
            ]
            assert errors[0] <= 4 / 65535 + 1e-6 < errors[1] <= 512 / 65535


def test_one_scale_at_a_time_is_degraded(coded, shard):
    features = [torch.zeros(1, 6, 16, 24), torch.zeros(1, 3, 4, 6)]
    seen = list(degraded_pyramids(features, 5, PrecodedScales(ZlibCodec(), coded[0])))
    assert [(pyramid.scale, pyramid.point) for pyramid in seen] == [(0, 2), (0, 9), (1, 2), (1, 9)]
    for pyramid in seen:
        changed = [bool(feature.any()) for feature in pyramid.features]
        assert changed == [index == pyramid.scale for index in range(2)]


def allocation(choices):
    rows = [
        (point, image_id, scale, chosen)
        for point, points in enumerate(choices)
        for image_id in (5, 900)
        for scale, chosen in enumerate(points)
    ]
    return pd.DataFrame(rows, columns=["point", "image_id", "scale", "codec_point"])


def test_streams_are_decoded_once_and_equal_choices_share_a_prediction(coded, shard):
    codec, network = ZlibCodec(), MeanNetwork()
    choices = [(2, 2), (2, 9), (2, 2)]
    outcomes = list(allocated_outcomes(network, shard, PrecodedScales(codec, coded[0]), allocation(choices)))
    assert [(outcome.image_id, outcome.point) for outcome in outcomes] == [(i, p) for i in (5, 900) for p in range(3)]
    assert codec.decoded == 2 * 3
    assert network.predicted == 2 * 2
    assert outcomes[0].prediction is outcomes[2].prediction
    assert outcomes[0].prediction is not outcomes[1].prediction


def test_the_rate_of_an_operating_point_is_that_of_its_streams(coded):
    streams = coded[1]
    found = chosen_streams(streams, allocation([(2, 9), (9, 9)]))
    for row in found.itertuples():
        same = (
            (streams["image_id"] == row.image_id)
            & (streams["scale"] == row.scale)
            & (streams["point"] == row.codec_point)
        )
        assert row.size_bytes == streams[same]["size_bytes"].item()
    assert found.groupby("point")["codec_point"].apply(sorted).tolist() == [[2, 2, 9, 9], [9, 9, 9, 9]]
    with pytest.raises(InputError, match="2 chosen streams"):
        chosen_streams(streams, allocation([(2, 4)]))


def test_an_allocation_that_lacks_a_scale_or_a_picture_is_one_clear_line(coded, shard):
    precoded = PrecodedScales(ZlibCodec(), coded[0])
    whole = allocation([(2, 2)])
    with pytest.raises(InputError, match=r"picture 5, operating point 0 has the scales \[0\]"):
        list(allocated_outcomes(MeanNetwork(), shard, precoded, whole[whole["scale"] == 0]))
    with pytest.raises(InputError, match="nothing for picture 5"):
        list(allocated_outcomes(MeanNetwork(), shard, precoded, whole[whole["image_id"] == 900]))


def test_missing_damaged_and_foreign_streams_are_named(coded, tmp_path):
    like = torch.zeros(1, 6, 16, 24)
    precoded = PrecodedScales(ZlibCodec(), coded[0])
    with pytest.raises(BitstreamError, match=r"2\.zip: no stream 000000000006/0"):
        precoded.decode(6, 0, 2, like)
    with pytest.raises(BitstreamError, match="where the network has"):
        precoded.decode(5, 1, 2, like)
    stream = read_pack(coded[0][2])["000000000005/0"]
    with PackWriter(tmp_path / "bad.zip") as writer:
        writer.add("000000000005/0", stream[:-20])
    with pytest.raises(BitstreamError, match=r"bad\.zip: stream 000000000005/0: broken"):
        PrecodedScales(ZlibCodec(), {2: tmp_path / "bad.zip"}).decode(5, 0, 2, like)
