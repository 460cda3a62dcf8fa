# Reference values for the bootstrap of a mean difference: boot with 200 000 resamples within groups, twice, so that
# the difference of the two runs shows what simulation leaves open. Half a minute.
# Run in this folder:  Rscript make_reference.R REAL_DATA_FOLDER     (only results leave that folder, never rows)
# Debian: r-base-core r-recommended r-cran-jsonlite
suppressMessages({ library(boot); library(jsonlite) })
real <- commandArgs(TRUE)[1]
cases <- list()
keep <- function(id, call, ...) cases[[id]] <<- list(call = call, values = lapply(list(...), unname))
lung <- read.csv("../stats/lung.csv")
a <- read.csv(file.path(real, "acupuncture_headache/acupuncture.csv"), fileEncoding = "UTF-8-BOM")
a <- a[!is.na(a$pk5), ]

gap <- function(d, i) mean(d$x[i][d$g[i] == 1]) - mean(d$x[i][d$g[i] == 0])
limits <- function(x, g, level, seed) {
  set.seed(seed)
  d <- data.frame(x = x, g = g)
  b <- boot(d, gap, R = 200000, strata = g)
  # boot.ci takes influence values as of one sample; of several they are divided by the size of theirs, as in
  # Davison and Hinkley (1997), Bootstrap Methods and their Application, eq. 5.24
  influence <- empinf(data = d, statistic = gap, strata = g, type = "jack", stype = "i") / table(g)[as.character(g)]
  ci <- boot.ci(b, conf = level, type = c("perc", "bca"), L = as.numeric(influence))
  rbind(c(b$t0, ci$percent[4:5]), c(b$t0, ci$bca[4:5]))
}
cases_of <- function(id, call, x, g, level) keep(id, call, first = limits(x, g, level, 1), second = limits(x, g, level, 2))
cases_of("acupuncture", "boot(strata), boot.ci(type = c('perc', 'bca')), R = 200 000: pk5, control - acupuncture",
         a$pk5, 1 - a$group, 0.95)
cases_of("lung_90", "the same, time: sex 2 - 1, level 0.90", lung$time, lung$sex - 1, 0.9)
packages <- c("boot")
versions <- c(R = paste(R.version$major, R.version$minor, sep = "."),
              sapply(packages, function(p) as.character(packageVersion(p))))
write_json(list(versions = as.list(versions), cases = cases), "expected.json", digits = NA, auto_unbox = TRUE,
           na = "null", pretty = TRUE, matrix = "rowmajor")
