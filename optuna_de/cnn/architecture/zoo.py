"""Zoo of known architectures, by name, as genomes for 32x32 images in ten classes. No torch.

A comment names the source, the published accuracy on CIFAR-10 and what differs from the source.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from optuna_de.cnn.architecture.genomes import Genome, parse

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
# He et al., 2016, section 4.2, n = 3: 91.25 % (table 6). Here pools for strides, and 1x1 skips
# where channels change.
_RESNET20 = "B16k3-R16k3-R16k3-R16k3-MP-R32k3-R32k3-R32k3-MP-R64k3-R64k3-R64k3-GAP"
# Hasanpour et al., 2016, table 1 (SimpleNet): 94.75 %. Here a global mean for its last pool.
_SIMPLENET = (
    "B64k3-B128k3-B128k3-B128k3-MP-B128k3-B128k3-B256k3-MP-B256k3-B256k3-MP"
    "-B512k3-B2048k1-B256k1-MP-B256k3-GAP"
)
# Hasanpour et al., 2018 (SimpNet), slim versions: 93.25 % and 94.03 %. Here no biases before the
# norms, which cancel them, and no dropout between the layers of the larger one.
_SIMPNET_300K = (
    "B30k3-B40k3-B40k3-B40k3-B50k3-MP-B50k3-B50k3-B50k3-B50k3-B58k3-MP-B58k3-B70k3-B90k3-GMP"
)
_SIMPNET_600K = (
    "B40k3-B60k3-B60k3-B60k3-B72k3-MP-B73k3-B73k3-B73k3-B75k3-B81k3-MP-B82k3-B90k3-B120k3-GMP"
)
# Sandler et al., 2018 (MobileNetV2), table 2 at width 0.5, as commonly cut for 32x32: the first
# two strides are 1. Here hard-swish for ReLU6.
_MOBILENET = (
    "B16k3-I8k3e1-I16k3e6x2-I16k3e6d2-I16k3e6x2-I32k3e6d2-I32k3e6x3-I48k3e6x3"
    "-I80k3e6d2-I80k3e6x2-I160k3e6-B1280k1-GAP"
)
# xvel, 2024 (cifar10-tiniest): 94.4 %, the mean of five. Here no biases before the two norms of
# convolutions (its 97,530 parameters less 128), and GELU in the gates.
_TINIEST = "LN-E48w3s1-M48x3-E80w4s2g16-M80x3-GAP"
# Jordan, 2024: 94.01 %, the mean of many trainings of 9.9 epochs, six views averaged. Here pools
# behind norm and GELU, not before; norms have scales, the classifier biases and no factor of 1/9.
_AIRBENCH94 = "GELU-WH2s2-B64k3-MP-B64k3-B256k3-MP-B256k3x2-MP-B256k3-GMP"
ZOO: Mapping[str, Genome] = MappingProxyType(
    {
        "model1": parse(MODEL_1),  # 16,477,306
        "model2": parse(MODEL_2),  # 7,796,674
        "alexnet": parse(_ALEXNET),
        "vgg16": parse(_VGG16),
        "vgg16_bn": parse(_VGG16.replace("C", "B")),
        "resnet20": parse(_RESNET20),
        "simplenet": parse(_SIMPLENET),
        "simpnet_300k": parse(_SIMPNET_300K),  # 300,288
        "simpnet_600k": parse(_SIMPNET_600K),  # 600,062
        "mobilenetv2_half": parse(_MOBILENET),
        "tiniest": parse(_TINIEST),
        "airbench94": parse(_AIRBENCH94),
    }
)


def get_architecture(name_or_text: str) -> Genome:
    """Return a known architecture by its name in the zoo, in any case, or a text.

    Raises:
        ValueError: If it is neither.

    Example:
        >>> count_parameters(get_architecture("resnet20"))
        272474
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
