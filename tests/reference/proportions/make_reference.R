# Reference values for proportions, tables, odds, risks and rates in therapyeval.stats.
# Run in this folder:  Rscript make_reference.R REAL_DATA_FOLDER     (only counts and results leave that folder)
# Debian: r-base-core r-cran-jsonlite -metafor -epitools
suppressMessages({ library(jsonlite); library(metafor); library(epitools) })
real <- commandArgs(TRUE)[1]
cases <- list()
keep <- function(id, call, ...) cases[[id]] <<- list(call = call, values = lapply(list(...), unname))

# counts: Newcombe (1998) table II; responders of the headache trial (BMJ 2004;328:744); stroke patients with Barthel
# 60 or more at week 8 (A-C, B-C, A-B); kutner patients with more than 32 days (1-2, 2-3); zeros
stroke <- read.csv("../stats/stroke.csv"); kutner <- read.csv("../stats/kutner.csv")
good <- tapply(stroke$week8 >= 60, stroke$Group, sum); long <- tapply(kutner$y > 32, kutner$group, sum); nk <- table(kutner$group)
pairs <- rbind(c(56, 70, 48, 80), c(9, 10, 3, 10), c(6, 7, 2, 7), c(5, 56, 0, 29), c(0, 10, 0, 20), c(0, 10, 0, 10),
               c(10, 10, 0, 20), c(10, 10, 0, 10), c(87, 161, 45, 140), c(good["A"], 8, good["C"], 8), c(good["B"], 8, good["C"], 8),
               c(good["A"], 8, good["B"], 8), c(long[1], nk[1], long[2], nk[2]), c(long[2], nk[2], long[3], nk[3]),
               c(10, 10, 20, 20), c(36, 40, 16, 80), c(12, 40, 9, 40), c(3, 4, 1, 4))

# ---- score intervals, from score.R ------------------------------------------------------------
source("score.R")
both <- function(effect, which) t(apply(pairs[which, ], 1, mn, effect))
keep("rd", "ten lines from Miettinen and Nurminen (1985), most likely proportions by search", counts = pairs, rows = both("rd", seq_len(nrow(pairs))))
has_ratio <- which(pairs[, 1] + pairs[, 3] > 0); has_odds <- setdiff(has_ratio, 15)
keep("rr", "the same, log ratio", counts = pairs[has_ratio, ], rows = both("rr", has_ratio))
keep("or", "the same, log odds ratio", counts = pairs[has_odds, ], rows = both("or", has_odds))

# ---- Fisher: fisher.test stops its roots at four digits, so they are tightened here; fisher.test is the check -------
conditional <- function(v, mid, level = 0.95) {
  x <- v[1]; m <- v[2]; n <- v[4]; k <- v[1] + v[3]; s <- max(0, k - n):min(k, m); lw <- dhyper(s, m, n, k, log = TRUE)
  d <- function(t) { w <- exp(lw + s * t - max(lw + s * t)); w / sum(w) }; own <- if (mid) 0.5 else 1
  up <- function(t) sum(d(t)[s > x]) + own * d(t)[s == x]; down <- function(t) sum(d(t)[s < x]) + own * d(t)[s == x]
  find <- function(f) exp(uniroot(f, c(-25, 25), tol = 1e-13)$root); tail <- (1 - level) / 2
  f <- fisher.test(matrix(c(x, v[3], m - x, n - v[3]), 2), conf.level = level)
  p <- if (mid) min(1, 2 * min(up(0), down(0))) else f$p.value
  out <- c(if (x == min(s)) 0 else if (x == max(s)) Inf else find(function(t) sum(s * d(t)) - x),
           if (x == min(s)) 0 else find(function(t) up(t) - tail), if (x == max(s)) Inf else find(function(t) down(t) - tail), p)
  if (!mid) {
    near <- function(r) pmin(r, 1 / r)                # fisher.test searches on this scale, absolutely, to 1.2e-4
    stopifnot(abs(near(out[1:3]) - near(c(f$estimate, f$conf.int))) < 2e-4)
  }
  if (mid && all(is.finite(out)) && out[1] > 0) {
    e <- suppressWarnings(oddsratio.midp(matrix(c(n - v[3], m - x, v[3], x), 2)))$measure[2, 2:3]
    stopifnot(all.equal(out[2:3], unname(e), tolerance = 1e-2))
  }
  out
}
keep("fisher", "noncentral hypergeometric, roots to 1e-13; checked against fisher.test and epitools::oddsratio.midp",
     counts = pairs[has_odds, ], exact = t(apply(pairs[has_odds, ], 1, conditional, FALSE)), mid = t(apply(pairs[has_odds, ], 1, conditional, TRUE)))

# ---- tables ---------------------------------------------------------------------------------------------------------
tables <- list(rbind(c(12, 8, 5), c(7, 9, 14)), table(kutner$group, cut(kutner$y, c(0, 30, 35, 99))), rbind(c(87, 74), c(45, 95)))
keep("chi_square", "chisq.test(correct = FALSE)", one = matrix(tables[[1]], 2), two = matrix(tables[[2]], 3), three = tables[[3]],
     rows = t(sapply(tables, function(m) { t <- suppressWarnings(chisq.test(m, correct = FALSE)); c(t$statistic, t$parameter, t$p.value) })))
smokers <- c(83, 90, 129, 70); patients <- c(86, 93, 136, 82)                  # Fleiss (1981), in ?prop.trend.test
tr <- function(x, n, s) { t <- prop.trend.test(x, n, s); c(t$statistic, t$parameter, t$p.value) }
keep("trend", "prop.trend.test: smokers (Fleiss 1981) with scores 0:3, then 0, 0, 1, 2; kutner days > 32 with 1, 2, 4", smokers = smokers,
     patients = patients, long = long, n = c(nk), rows = rbind(tr(smokers, patients, 0:3), tr(smokers, patients, c(0, 0, 1, 2)), tr(long, nk, c(1, 2, 4))))
changed <- rbind(c(12, 4), c(150, 86), c(0, 6), c(7, 0), c(5, 5), c(sum(stroke$week8 >= 60 & stroke$week1 < 60), sum(stroke$week8 < 60 & stroke$week1 >= 60)))
mc <- function(v, exact) {
  b <- binom.test(v[1], sum(v)); p <- if (exact) b$p.value else mcnemar.test(matrix(c(9, v[1], v[2], 9), 2), correct = FALSE)$p.value
  ci <- if (exact) b$conf.int else suppressWarnings(prop.test(v[1], sum(v), correct = FALSE)$conf.int)
  ci <- pmin(pmax(ci, 0), 1); if (v[2] == 0) ci[2] <- 1; if (v[1] == 0) ci[1] <- 0
  c(v[1] / v[2], ci / (1 - ci), p)
}
keep("mcnemar", "binom.test or prop.test(correct = FALSE) limits as odds; p of binom.test or mcnemar.test(correct = FALSE); row 2 is Agresti's approval ratings",
     counts = changed, exact = t(apply(changed, 1, mc, TRUE)), asymptotic = t(apply(changed, 1, mc, FALSE)))

# ---- Mantel-Haenszel: metafor::rma.mh; p of mantelhaen.test(correct = FALSE) ---------------------------------------
berkeley <- apply(UCBAdmissions, 3, function(m) c(m[1, 1], sum(m[, 1]), m[1, 2], sum(m[, 2])))       # admitted men, women
a <- read.csv(file.path(real, "acupuncture_headache/acupuncture.csv"), fileEncoding = "UTF-8-BOM"); a <- a[!is.na(a$pk5), ]
a$good <- a$pk5 <= 0.65 * a$pk1
cells <- function(d) c(sum(d$good[d$group == 1]), sum(d$group == 1), sum(d$good[d$group == 0]), sum(d$group == 0))
age <- sapply(split(a, cut(a$age, c(0, 35, 45, 55, 99))), cells)
small <- cbind(c(8, 20, 3, 22), c(20, 30, 9, 28))
mh <- function(m, measure) {
  r <- rma.mh(ai = m[1, ], n1i = m[2, ], ci = m[3, ], n2i = m[4, ], measure = measure, correct = FALSE, digits = 15)
  back <- if (measure == "RD") identity else exp
  array <- array(rbind(m[1, ], m[2, ] - m[1, ], m[3, ], m[4, ] - m[3, ]), c(2, 2, ncol(m)))
  c(back(c(r$beta, r$ci.lb, r$ci.ub)), mantelhaen.test(array, correct = FALSE)$p.value)
}
for (name in c("berkeley", "age", "small")) {
  m <- get(name)
  keep(paste0("mh.", name), "metafor::rma.mh: OR, RR, RD; p of mantelhaen.test(correct = FALSE); columns are strata: x1, n1, x2, n2",
       counts = m, rows = t(sapply(c("OR", "RR", "RD"), function(e) mh(m, e))))
}

# ---- rates: poisson.test -----------------------------------------------------------------------------------------
rates <- rbind(c(11, 800, 23, 1083), c(15, 19017, 41, 28010), c(0, 100, 5, 120), c(4, 50.5, 0, 80), c(250, 9001, 17, 812.5))
pt2 <- function(v, level) { t <- poisson.test(v[c(1, 3)], v[c(2, 4)], conf.level = level); c(t$estimate, t$conf.int, t$p.value) }
keep("rate_ratio", "poisson.test of two counts; rows 1 and 2 are its own examples", counts = rates,
     level95 = t(apply(rates, 1, pt2, 0.95)), level90 = t(apply(rates, 1, pt2, 0.9)))

versions <- c(R = paste(R.version$major, R.version$minor, sep = "."),
              sapply(c("metafor", "epitools"), function(p) as.character(packageVersion(p))))
write_json(list(versions = as.list(versions), cases = cases), "expected.json", digits = NA, auto_unbox = TRUE,
           na = "string", pretty = TRUE, matrix = "rowmajor")
