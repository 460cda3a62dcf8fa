"""The variances of least squares that a comparison may ask for; without numpy, so that the command can name them."""

VARIANCES = ("HC3", "HC2", "classical", "CR1", "CR2")
CLUSTERED = {"CR1": " by cluster, clusters - 1 df", "CR2": " by cluster, Satterthwaite df"}
