"""Published results as data: a file each, with configuration, criteria and how it is measured."""

from claims import brock2021_gains, glorot2010_init, yang2019_bn_explosion

CLAIMS = {
    module.CLAIM.name: module.CLAIM
    for module in (glorot2010_init, yang2019_bn_explosion, brock2021_gains)
}
