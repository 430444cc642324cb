"""Published results as data: one file per claim, with its configuration and criteria."""

from papers import (
    adam2014_cnn,
    brock2021_gains,
    glorot2010_init,
    glorot2010_sigmoid,
    he2015_depth30,
    ioffe2015_batchnorm,
    jordan2023_variance,
    lsuv2015_sigmoid17,
    saxe2013_depth,
    schoenholz2017_depth,
    wu2018_groupnorm,
    xiao2018_deltaorthogonal,
    yang2019_bn_explosion,
    zeiler2013_pooling,
    zhang2019_blurpool,
)

CLAIMS = {
    module.CLAIM.name: module.CLAIM
    for module in (
        glorot2010_init,
        ioffe2015_batchnorm,
        he2015_depth30,
        glorot2010_sigmoid,
        yang2019_bn_explosion,
        schoenholz2017_depth,
        wu2018_groupnorm,
        lsuv2015_sigmoid17,
        xiao2018_deltaorthogonal,
        brock2021_gains,
        jordan2023_variance,
        zhang2019_blurpool,
        zeiler2013_pooling,
        adam2014_cnn,
        saxe2013_depth,
    )
}
