"""Known architectures as genomes for 32x32 images in ten classes. Knows no torch.

The counts beside the names are of these genomes at (3, 32, 32) and 10 classes; a test holds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from optuna_de.cnn.architecture.units import Genome, parse

MODEL_1 = "C7k3-C195k5-C207k7-C235k7-AP-C241k7-MP-MP"
MODEL_2 = "C7k3-C195k5-MP-MP-C219k5-C188k5-AP"
# Krizhevsky et al., 2012, as commonly cut for 32x32: 3x3 kernels at both ends of the size range,
# the first stride a pool, 2x2 pools. 62.3 M, the seed report's figure, is the ImageNet network.
_ALEXNET = "C64k3-MP-MP-C192k3-MP-C384k3-C256k3-C256k3-MP-FC4096-FC4096"
# Simonyan and Zisserman, 2015, configuration D as commonly cut for 32x32: one classifier on 512
# features. The fifth pool (2x2 to 1x1, maximum) is the global mean here: no weight differs.
_VGG16 = (
    "C64k3-C64k3-MP-C128k3-C128k3-MP-C256k3-C256k3-C256k3-MP"
    "-C512k3-C512k3-C512k3-MP-C512k3-C512k3-C512k3-GAP"
)
# He et al., 2016, section 4.2, n = 3, with pools for strides and 1x1 skips where channels change.
_RESNET20 = "B16k3-R16k3-R16k3-R16k3-MP-R32k3-R32k3-R32k3-MP-R64k3-R64k3-R64k3-GAP"
# Hasanpour et al., 2016, table 1 (SimpleNet), with a global mean for its last pool.
_SIMPLENET = (
    "B64k3-B128k3-B128k3-B128k3-MP-B128k3-B128k3-B256k3-MP-B256k3-B256k3-MP"
    "-B512k3-B2048k1-B256k1-MP-B256k3-GAP"
)
ZOO: Mapping[str, Genome] = MappingProxyType(
    {
        "model1": parse(MODEL_1),  # 16,477,306
        "model2": parse(MODEL_2),  # 7,796,674
        "alexnet": parse(_ALEXNET),
        "vgg16": parse(_VGG16),
        "vgg16_bn": parse(_VGG16.replace("C", "B")),
        "resnet20": parse(_RESNET20),
        "simplenet": parse(_SIMPLENET),
    }
)


def get_architecture(name_or_text: str) -> Genome:
    """Return the architecture of a name of :data:`ZOO` (in any case) or of a text.

    Raises:
        ValueError: Where it is neither.
    """
    name = name_or_text.strip().lower()
    if name in ZOO:
        return ZOO[name]
    try:
        return parse(name_or_text)
    except ValueError as error:
        raise ValueError(
            f"{name_or_text!r} is neither one of {', '.join(ZOO)} nor an architecture: {error}"
        ) from None
