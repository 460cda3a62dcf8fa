# Reference values for permutation tests, multiplicity, equivalence, power and Bayesian posteriors in therapyeval.stats.
# Run in this folder:  Rscript make_reference.R REAL_DATA_FOLDER     (only results leave that folder, never rows)
# Debian: r-base-core r-cran-jsonlite -coin -pwr -epir
suppressMessages({ library(jsonlite); library(coin); library(pwr); library(epiR) })
source("../proportions/score.R")
real <- commandArgs(TRUE)[1]
cases <- list()
keep <- function(id, call, ...) cases[[id]] <<- list(call = call, values = lapply(list(...), unname))
rows <- function(l) do.call(rbind, l)
stroke <- read.csv("../stats/stroke.csv"); stroke$change <- stroke$week8 - stroke$week1; kutner <- read.csv("../stats/kutner.csv")
a <- read.csv(file.path(real, "acupuncture_headache/acupuncture.csv"), fileEncoding = "UTF-8-BOM"); a <- a[!is.na(a$pk5), ]
k <- split(kutner$y, kutner$group); s <- split(stroke$change, stroke$Group); h <- split(a$pk5, a$group)

# ---- permutation: p of coin::oneway_test(distribution = "exact"); limits by trying shifts, every arrangement each time ----
shift_limits <- function(x, y, level) {
  m <- length(x); n <- length(y); sets <- combn(m + n, m)
  p_low <- function(d) { z <- c(x - d, y); t <- colSums(matrix(z[sets], m)); mean(t >= sum(x - d) - 1e-9) }     # against: shift is d or less
  p_high <- function(d) { z <- c(x - d, y); t <- colSums(matrix(z[sets], m)); mean(t <= sum(x - d) + 1e-9) }
  halve <- function(refused, inside, p) { for (i in 1:60) { mid <- (refused + inside) / 2; if (p(mid) <= (1 - level) / 2) refused <- mid else inside <- mid }; inside }
  c(halve(min(x) - max(y) - 1, mean(x) - mean(y), p_low), halve(max(x) - min(y) + 1, mean(x) - mean(y), p_high))
}
exact <- function(x, y, level = 0.95) {
  g <- factor(rep(1:2, c(length(x), length(y))))
  c(mean(x) - mean(y), shift_limits(x, y, level), pvalue(oneway_test(c(x, y) ~ g, distribution = "exact")))
}
keep("permutation", "coin::oneway_test exact p; limits by halving over every arrangement: kutner 1-3; stroke A-B; kutner 1-3 at 0.90; small list",
     rows = rows(list(exact(k[[1]], k[[3]]), exact(s$A, s$B), exact(k[[1]], k[[3]], 0.9), exact(c(29, 42, 38, 40), c(26, 32, 21, 20, 23, 22)))))
ranked <- function(x, y) { g <- factor(rep(1:2, c(length(x), length(y)))); pvalue(wilcox_test(c(x, y) ~ g, distribution = "exact")) }
keep("rank_sum_ties", "coin::wilcox_test(distribution = 'exact') under ties: kutner 1-2, 1-3; stroke A-B, A-C",
     p = c(ranked(k[[1]], k[[2]]), ranked(k[[1]], k[[3]]), ranked(s$A, s$B), ranked(s$A, s$C)))

# ---- several p-values: p.adjust -----------------------------------------------------------------------------------
p1 <- c(0.01, 0.02, 0.03, 0.04, 0.05); p2 <- c(0.0001, 0.0459, 0.3240, 0.0201, 0.0278, 0.0298, 0.0004, 0.0019, 0.0095, 0.0344, 0.4262, 0.5719, 0.6528, 0.7590, 1)
three <- function(p) rows(lapply(c("holm", "hochberg", "BH"), function(m) p.adjust(p, m)))
keep("adjust", "p.adjust: a list, then the fifteen of Benjamini and Hochberg (1995)", p1 = p1, p2 = p2, a1 = three(p1), a2 = three(p2))

# ---- equivalence: two t.tests; the score at the bounds ------------------------------------------------------------------
tost <- function(x, y, low, high, alpha = 0.05) {
  p <- c(t.test(x, y, mu = low, alternative = "greater")$p.value, t.test(x, y, mu = high, alternative = "less")$p.value)
  if (is.infinite(low)) p[1] <- 0; if (is.infinite(high)) p[2] <- 0
  c(mean(x) - mean(y), t.test(x, y, conf.level = 1 - 2 * alpha)$conf.int, max(p))
}
safe <- function(x, y, low, high, alpha = 0.05) tost(x, y, low, high, alpha)
one <- function(x, y, bound, side, alpha = 0.05) c(mean(x) - mean(y), t.test(x, y, conf.level = 1 - 2 * alpha)$conf.int, t.test(x, y, mu = bound, alternative = side)$p.value)
keep("tost", "t.test(mu = bound, alternative) twice: kutner 1-2 in -12..12; acupuncture 1-0 in -10..10; stroke B-C in -20..20 alpha 0.025; kutner 1-2 above -2; acupuncture 1-0 below 3",
     rows = rows(list(tost(k[[1]], k[[2]], -12, 12), tost(h[["1"]], h[["0"]], -10, 10), tost(s$B, s$C, -20, 20, 0.025),
                      one(k[[1]], k[[2]], -2, "greater"), one(h[["1"]], h[["0"]], 3, "less"))))
risk <- function(v, low, high, alpha = 0.05) {
  p <- c(if (is.finite(low)) pnorm(-mn_score(v, low)) else 0, if (is.finite(high)) pnorm(mn_score(v, high)) else 0)
  c(mn(v, "rd", 1 - 2 * alpha)[1:3], max(p))
}
keep("tost_risk", "score of proportions/score.R at the bounds: 83/100, 85/100 above -0.15; 87/161, 45/140 in -0.3..0.3; 5/8, 6/8 in -0.5..0.5 alpha 0.025",
     rows = rows(list(risk(c(83, 100, 85, 100), -0.15, Inf), risk(c(87, 161, 45, 140), -0.3, 0.3), risk(c(5, 8, 6, 8), -0.5, 0.5, 0.025))))

# ---- power ------------------------------------------------------------------------------------------------------------
m <- rbind(c(64, 64, 5, 10), c(20, 35, 8, 10.5), c(6, 9, 20, 12), c(150, 150, 0.5, 10))
keep("power_means", "pwr::pwr.t2n.test; power.t.test(strict = TRUE, power = 0.9) for the difference; n unrounded by pwr.t.test",
     input = m, power = apply(m, 1, function(v) pwr.t2n.test(v[1], v[2], v[3] / v[4])$power),
     detect_n = c(10, 64, 200), detect = sapply(c(10, 64, 200), function(n) power.t.test(n, sd = 10, power = 0.9, strict = TRUE, tol = 1e-12)$delta),
     n_d = c(0.2, 0.5, 1.3), n = sapply(c(0.2, 0.5, 1.3), function(d) ceiling(pwr.t.test(d = d, power = 0.8)$n)))
q <- rbind(c(100, 0.5, 0.7), c(40, 0.1, 0.4), c(500, 0.30, 0.33))
keep("power_proportions", "power.prop.test(strict = TRUE), and its n and p2 for power 0.8",
     input = q, power = apply(q, 1, function(v) power.prop.test(v[1], v[2], v[3], strict = TRUE)$power),
     n = apply(q, 1, function(v) ceiling(power.prop.test(p1 = v[2], p2 = v[3], power = 0.8, strict = TRUE, tol = 1e-12)$n)),
     above = apply(q, 1, function(v) power.prop.test(v[1], p1 = v[2], power = 0.8, strict = TRUE, tol = 1e-13)$p2))

# ---- planning: the chi-square limit of an SD; a share's interval by epiR -----------------------------------------------
upper <- function(x, level) sd(x) * sqrt((length(x) - 1) / qchisq(1 - level, length(x) - 1))
given <- list(stroke$change, kutner$y, a$pk5)
levels <- c(0.8, 0.95)
keep("upper_sd", "sd * sqrt((n - 1) / qchisq(1 - level, n - 1)): stroke change, kutner, acupuncture; levels 0.8, 0.95",
     sd = sapply(given, sd), n = sapply(given, length), limits = t(sapply(given, function(x) sapply(levels, function(l) upper(x, l)))))
shares <- cbind(c(0.8, mean(a$pk5 < a$pk1 * 0.65), mean(stroke$change >= 10)), c(0.10, 0.05, 0.07))
keep("n_for_share", "ceiling(epiR::epi.sssimpleestb(error = 'absolute')): 0.8; acupuncture down by 35%; stroke up by 10",
     input = shares, n = apply(shares, 1, function(v) ceiling(epi.sssimpleestb(N = NA, Py = v[1], epsilon = v[2], error = "absolute",
       se = 1, sp = 1, nfractional = TRUE, conf.level = 0.95))))

# ---- posteriors: integrate() and uniroot() -----------------------------------------------------------------------------
post <- function(est, se, df, m0, s0, threshold = 0, level = 0.95) {
  f0 <- function(x) dt((x - est) / se, df) * dnorm(x, m0, s0); cut <- sort(c(m0 + s0 * seq(-12, 12, 0.5), est + se * seq(-12, 12, 0.5)))
  int <- function(f, lo = -Inf, hi = Inf) { at <- unique(c(max(lo, cut[1]), cut[cut > lo & cut < hi], min(hi, cut[length(cut)])))
    sum(sapply(seq_along(at[-1]), function(i) integrate(f, at[i], at[i + 1], rel.tol = 1e-11)$value)) }
  total <- int(f0); mean <- int(function(x) x * f0(x)) / total; v <- int(function(x) (x - mean)^2 * f0(x)) / total
  lim <- sapply(c((1 - level) / 2, (1 + level) / 2), function(p) uniroot(function(x) int(f0, hi = x) / total - p, mean + c(-9, 9) * sqrt(v), tol = 1e-12)$root)
  c(mean, sqrt(v), lim, int(f0, lo = threshold) / total)
}
t1 <- t.test(s$B); t2 <- t.test(k[[1]], k[[3]]); t3 <- t.test(h[["1"]], h[["0"]])
inputs <- rbind(c(6, 2, Inf, 0, 4, 0), c(t1$estimate, t1$stderr, t1$parameter, 10, 15, 20), c(diff(rev(t2$estimate)), t2$stderr, t2$parameter, 0, 5, 10),
                c(diff(rev(t3$estimate)), t3$stderr, t3$parameter, 0, 3, -2), c(20, 1, 3, 0, 2, 0))
keep("posterior_mean", "integrate() of dt * dnorm: normal; stroke B change; kutner 1-3; acupuncture 1-0; prior and data far apart. estimate, error, df, prior mean, prior SD, threshold",
     input = inputs, rows = t(apply(inputs, 1, function(v) post(v[1], v[2], v[3], v[4], v[5], v[6]))), ninety = post(6, 2, Inf, 0, 4, 0, 0.9))
beta_rd <- function(x, n, y, m, al, be, threshold = 0, level = 0.95) {
  A <- c(x + al, n - x + be); C <- c(y + al, m - y + be)
  upper <- function(d) { g <- function(p) dbeta(p, C[1], C[2]) * pbeta(p + d, A[1], A[2], lower.tail = FALSE)
    at <- sort(unique(pmin(pmax(c(0, 1, qbeta(c(1e-12, 1e-6, seq(0.01, 0.99, 0.02), 1 - 1e-6), C[1], C[2]), -d, 1 - d), 0), 1)))
    sum(sapply(seq_along(at[-1]), function(i) integrate(g, at[i], at[i + 1], rel.tol = 1e-11, stop.on.error = FALSE)$value)) }
  mean <- A[1] / sum(A) - C[1] / sum(C); v <- prod(A) / (sum(A)^2 * (sum(A) + 1)) + prod(C) / (sum(C)^2 * (sum(C) + 1))
  lim <- sapply(c((1 + level) / 2, (1 - level) / 2), function(p) uniroot(function(d) upper(d) - p, c(-1, 1), tol = 1e-13)$root)
  c(mean, sqrt(v), lim, upper(threshold))
}
b <- rbind(c(15, 20, 9, 20, 1, 1, 0), c(87, 161, 45, 140, 1, 1, 0.1), c(0, 8, 3, 8, 0.5, 0.5, 0), c(7, 8, 3, 8, 4, 6, 0), c(0, 0, 30, 40, 1, 1, 0))
keep("posterior_risk", "integrate() of dbeta * pbeta: x, n, y, m, prior, threshold", input = b, rows = t(apply(b, 1, function(v) do.call(beta_rd, as.list(v)))))

# ---- the docstrings' numbers ----------------------------------------------------------------------------------------
keep("docstrings", "as named", tost = tost(c(29, 32, 28, 30, 33), c(30, 29, 32, 31, 30), -4, 4),
     power = c(power.t.test(64, 5, 10, strict = TRUE)$power, power.t.test(64, sd = 10, power = 0.8, strict = TRUE, tol = 1e-12)$delta),
     n = c(power.t.test(delta = 5, sd = 10, power = 0.8, strict = TRUE)$n, 1.95 * power.t.test(delta = 5, sd = 10, power = 0.8, strict = TRUE)$n,
           power.prop.test(p1 = 0.5, p2 = 0.7, power = 0.8, strict = TRUE)$n, 1.95 * power.prop.test(p1 = 0.5, p2 = 0.7, power = 0.8, strict = TRUE)$n),
     share = power.prop.test(100, p1 = 0.5, power = 0.8, strict = TRUE, tol = 1e-12)$p2)

versions <- c(R = paste(R.version$major, R.version$minor, sep = "."), sapply(c("coin", "pwr", "epiR"), function(p) as.character(packageVersion(p))))
write_json(list(versions = as.list(versions), cases = cases), "expected.json", digits = NA, auto_unbox = TRUE,
           na = "string", pretty = TRUE, matrix = "rowmajor")
