"""The offline bundle: wheels and scripts for machines that reach no package registry (`make bundle`)."""
