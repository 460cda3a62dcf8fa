# Reference values on real data for estimators of therapyeval.stats that had one data set only. Cases: estimator.data
# Run in this folder:  Rscript make_reference.R REAL_DATA_FOLDER     (only results and counts leave that folder, never rows)
# Debian: r-base-core r-recommended r-cran-jsonlite -pwr -sandwich -epi
suppressMessages({ library(jsonlite); library(boot); library(pwr); library(sandwich); library(Epi) })
source("../proportions/score.R")
real <- commandArgs(TRUE)[1]; cases <- list()
keep <- function(id, call, ...) cases[[id]] <<- list(call = call, values = lapply(list(...), unname))

stroke <- read.csv("../stats/stroke.csv"); kutner <- read.csv("../stats/kutner.csv"); kidney <- read.csv("../stats/kidney.csv")
lung <- read.csv("../stats/lung.csv"); veteran <- read.csv("../stats/veteran.csv"); holes <- read.csv("../imputation/stroke_holes.csv")
all <- read.csv(file.path(real, "acupuncture_headache/acupuncture.csv"), fileEncoding = "UTF-8-BOM"); h <- all[!is.na(all$pk5), ]
children <- read.csv(file.path(real, "pedalfast_tbi/pedalfast.csv")); sicily <- read.csv(file.path(real, "sicily_its/sicily.csv"))
responders <- c(87, 161, 45, 140); free <- c(33, 50, 10, 51)       # Vickers 2004; Ashar 2022: pain-free, PRT and placebo

# ---- counts and rates: poisson.test, binom.test, Epi::ci.pd, chisq.test ------------------------------------------------
rate <- function(x, t) { r <- sapply(seq_along(x), function(i) c(x[i] / t[i], poisson.test(x[i], t[i])$conf.int)); t(r) }
sex <- sapply(split(kidney, kidney$sex), function(d) c(sum(d$status), sum(d$time))); ban <- sapply(split(sicily, sicily$smokban), function(d) c(sum(d$aces), sum(d$stdpop)))
two <- function(m) { t <- poisson.test(m[1, 2:1], m[2, 2:1]); c(t$estimate, t$conf.int, t$p.value) }
keep("event_rate.kidney", "poisson.test(infections, days) by sex", counts = t(sex), rows = rate(sex[1, ], sex[2, ]))
keep("event_rate.sicily", "poisson.test(events, standardized person-months) before and under the ban", counts = t(ban), rows = rate(ban[1, ], ban[2, ]))
keep("rate_ratio.kidney", "poisson.test: infections per day, sex 2 / 1", counts = t(sex), rows = two(sex))
keep("rate_ratio.sicily", "poisson.test: under the ban / before", counts = t(ban), rows = two(ban))
growth <- function(n, n0) { p <- binom.test(n, n + n0)$conf.int; c(n, n0, n / n0 - 1, p / (1 - p) - 1) }
keep("growth.sicily", "binom.test: events in months 37-48 against 25-36; both counts first", rows = growth(sum(sicily$aces[37:48]), sum(sicily$aces[25:36])))
keep("growth.brain_injury", "binom.test: children hurt in traffic against by falls; both counts first", rows = growth(sum(children$injurymech == "Traffic"), sum(children$injurymech == "Fall")))
needed <- function(v) { e <- ci.pd(v[1], v[3], v[2] - v[1], v[4] - v[3], method = "Nc", print = FALSE); r <- e[5:7]; c(1 / r[1], 1 / r[3], 1 / r[2]) }
keep("number_needed.headache", "1 / Epi::ci.pd(method = 'Nc'), 87 of 161, 45 of 140", rows = needed(responders))
keep("number_needed.back_pain", "the same, 33 of 50, 10 of 51", rows = needed(free))
small <- function(x, n) min(suppressWarnings(chisq.test(rbind(x, n - x)))$expected)
keep("smallest_expected.headache", "min(chisq.test()$expected), 87 of 161, 45 of 140", rows = small(c(87, 45), c(161, 140)))
keep("smallest_expected.kutner", "the same: more than 32 days, by fitness", rows = small(tapply(kutner$y > 32, kutner$group, sum), table(kutner$group)))
keep("equivalent_risks.back_pain", "score of proportions/score.R at the bound: 33 of 50, 10 of 51 above -0.1", rows = c(mn(free, "rd", 0.9)[1:3], pnorm(-mn_score(free, -0.1))))
pieces <- function(fit, name) { s <- summary(fit)$coef[name, ]; c(s[1], s[2], fit$df.residual) }
tost <- function(v, low, high, alpha = 0.05) c(v[1], v[1] + c(-1, 1) * qt(1 - alpha, v[3]) * v[2],
  max(pt((v[1] - low) / v[2], v[3], lower.tail = FALSE), pt((v[1] - high) / v[2], v[3])))
keep("equivalent.headache", "lm(pk5 ~ group + pk1): one-sided t tests at -10 and 10", rows = tost(pieces(lm(pk5 ~ group + pk1, h), "group"), -10, 10))
keep("equivalent.lung", "lm(time ~ sex + age): one-sided t tests at -150 and 150", rows = tost(pieces(lm(time ~ factor(sex) + age, lung), "factor(sex)2"), -150, 150))
pooled <- function(y, g) { v <- tapply(y, g, var); n <- table(g); sqrt(sum((n - 1) * v) / sum(n - 1)) }
keep("pooled_sd.kutner", "sqrt of the pooled var(): 1 and 3", rows = with(kutner[kutner$group != 2, ], pooled(y, group)))
keep("pooled_sd.stroke", "the same: week8, A and C", rows = with(stroke[stroke$Group != "B", ], pooled(week8, Group)))

# ---- propensity scores, weights, effective sizes: glm, table 1 of Li, Morgan and Zaslavsky (2018), sum(w)^2 / sum(w^2) ----
weights <- function(id, call, f, d, first, whole = FALSE) { m <- glm(f, binomial, d, control = glm.control(epsilon = 1e-14, maxit = 100)); e <- fitted(m); a <- d[[first]] == 1
  w <- list(ifelse(a, 1 / e, 1 / (1 - e)), ifelse(a, 1, e / (1 - e)), ifelse(a, 1 - e, e))
  keep(id, call, score = if (whole) e else c(mean(e), sd(e), min(e), max(e)),
       weights = t(sapply(w, function(w) c(sum(w[a]), sum(w[!a])))), size = t(sapply(w, function(w) sapply(list(w[a], w[!a]), function(x) sum(x)^2 / sum(x^2))))) }
veteran$a <- veteran$trt - 1
weights("propensity_score.veteran", "fitted(glm(trt ~ karno + age + celltype, binomial)); sums of the weights ATE, ATT, overlap in both groups; effective sizes", a ~ karno + age + celltype, veteran, "a", TRUE)
weights("propensity_score.headache", "glm(group ~ pk1 + age + sex + migraine + chronicity, binomial): mean, SD, least, largest; then the same", group ~ pk1 + age + sex + migraine + chronicity, h, "group")

# ---- E-values: VanderWeele and Ding (2017), by hand ---------------------------------------------------------------------
ev <- function(r) { r <- max(r, 1 / r); r + sqrt(r * (r - 1)) }
evs <- function(v) { near <- if (v[2] > 1) v[2] else if (v[3] < 1) v[3] else 1; c(ev(v[1]), ev(near)) }
katz <- function(v) { r <- (v[1] / v[2]) / (v[3] / v[4]); r * exp(c(0, -1, 1) * qnorm(0.975) * sqrt(1 / v[1] - 1 / v[2] + 1 / v[3] - 1 / v[4])) }
keep("e_value.headache", "E = RR + sqrt(RR (RR - 1)) of the Wald risk ratio 87 of 161 / 45 of 140; ratio, limits, E, E of the limit", rows = c(katz(responders), evs(katz(responders))))
keep("e_value.back_pain", "the same: 33 of 50 / 10 of 51", rows = c(katz(free), evs(katz(free))))
through <- function(v, sd) { l <- v[1] + c(0, -1, 1) * qt(0.975, v[3]) * v[2]; c(l, sd, evs(exp(0.91 * l / sd))) }
keep("e_value_difference.headache", "exp(0.91 d): lm(pk5 ~ group + pk1), pooled SD of pk5; difference, limits, SD, E, E of the limit", rows = through(pieces(lm(pk5 ~ group + pk1, h), "group"), pooled(h$pk5, h$group)))
keep("e_value_difference.lung", "the same: lm(time ~ sex + age)", rows = through(pieces(lm(time ~ factor(sex) + age, lung), "factor(sex)2"), pooled(lung$time, lung$sex)))

# ---- power: pwr, power.t.test(strict), power.prop.test(strict) with sizes, SDs and shares of two trials -----------------
sds <- c(headache = pooled(h$pk5, h$group), stroke = with(stroke[stroke$Group != "B", ], pooled(week8 - week1, Group)))
means <- function(name, n1, n2, d) { sd <- sds[[name]]; n <- min(n1, n2)
  keep(paste0("power_means.", name), paste("pwr.t2n.test(", n1, ",", n2, "), difference", d, "; power.t.test(strict = TRUE) for the difference of", n, "each; pwr.t.test for n; first the pooled SD"),
       rows = c(sd, pwr.t2n.test(n1, n2, d / sd)$power, power.t.test(n, sd = sd, power = 0.8, strict = TRUE, tol = 1e-12)$delta, ceiling(pwr.t.test(d = d / sd, power = 0.8)$n))) }
means("headache", 161, 140, 4.6); means("stroke", 8, 8, 15)
shares <- function(id, v, n) { p <- c(v[1] / v[2], v[3] / v[4]); keep(id, paste("power.prop.test(strict = TRUE),", n, "in each group:", v[1], "of", v[2], "and", v[3], "of", v[4], "; power, n for power 0.8, share above the lower one"),
  rows = c(power.prop.test(n, p[1], p[2], strict = TRUE)$power, ceiling(power.prop.test(p1 = p[1], p2 = p[2], power = 0.8, strict = TRUE, tol = 1e-12)$n),
           power.prop.test(n, p1 = p[2], power = 0.8, strict = TRUE, tol = 1e-13)$p2)) }
shares("power_proportions.headache", responders, 60); shares("power_proportions.back_pain", free, 20)
deff <- function(m, icc) c(mean(m), icc, sqrt(mean((m - mean(m))^2)) / mean(m), 1 + (sum(m^2) / sum(m) - 1) * icc)      # Kish
keep("design_effect.headache", "1 + (sum m^2 / sum m - 1) icc over practices, icc 0.05: mean size, icc, CV, effect", rows = deff(c(table(h$practice_id)), 0.05))
keep("design_effect.lung", "the same over institutions, icc 0.02", rows = deff(c(table(lung$inst)), 0.02))

# ---- worst and best case: t.test with every hole filled by an end of the scale --------------------------------------------
ends <- function(y, one, zero, low, high) t(sapply(list(c(low, high), c(high, low)), function(e) {
  t <- t.test(ifelse(is.na(y[one]), e[1], y[one]), ifelse(is.na(y[zero]), e[2], y[zero])); c(-diff(t$estimate), t$conf.int, t$p.value, t$parameter) }))
keep("extreme_cases.headache", "t.test with holes of pk5 filled by 0 and 100: 1 - 0, least, largest", rows = ends(all$pk5, all$group == 1, all$group == 0, 0, 100))
keep("extreme_cases.stroke", "the same: week8 of stroke_holes.csv: A - C", rows = ends(holes$week8, holes$Group == "A", holes$Group == "C", 0, 100))

# ---- weights for having a value: as missing/make_reference.R, sandwich's bread and estfun, here one row per patient --------
m <- glm(!is.na(pk5) ~ group + pk1 + age, binomial, all, control = glm.control(epsilon = 1e-14, maxit = 100)); w <- 1 / fitted(m)
part <- function(g) { r <- !is.na(all$pk5) & all$group == g; mu <- weighted.mean(all$pk5[r], w[r]); psi <- ifelse(r, w * (all$pk5 - mu), 0); psi[!r] <- 0
  A <- colSums(-(psi * (1 - fitted(m))) * model.matrix(m)); list(mu = mu, u = c(psi + (estfun(m) %*% bread(m) / nobs(m)) %*% A) / sum(w[r])) }
interval <- function(mu, u, G) { se <- sqrt(G / (G - 1) * sum(u^2)); c(mu, mu + c(-1, 1) * qt(0.975, G - 1) * se, 2 * pt(-abs(mu / se), G - 1), G - 1) }
one <- part(1); zero <- part(0); n1 <- sum(all$group == 1); n0 <- sum(all$group == 0)
keep("completion_weighted.headache", "glm(seen ~ group + pk1 + age, binomial), weighted.mean(w = 1 / fitted); sandwich::bread and estfun: pk5 of groups 0, 1; 1 - 0",
     means = rbind(interval(zero$mu, zero$u, n0), interval(one$mu, one$u, n1))[, 1:3], difference = interval(one$mu - zero$mu, one$u - zero$u, n1 + n0))

# ---- bootstrap: boot, 20 000 resamples; estimate, percentiles; and their SD over ten batches of 2000, as many as ours ------
set.seed(20261122)
limits <- function(t) quantile(t, c(0.025, 0.975))
put <- function(id, call, d, ...) { parts <- lapply(list(...), function(f) { b <- boot(d, function(d, i) f(d[i, ]), R = 20000)
    list(c(b$t0, limits(b$t)), apply(apply(matrix(b$t, 2000), 2, limits), 1, sd)) })
  keep(id, paste("boot, R = 20 000:", call), rows = do.call(rbind, lapply(parts, `[[`, 1)), error = do.call(rbind, lapply(parts, `[[`, 2))) }
a <- h[h$group == 1, ]; a$d <- a$pk5 - a$pk1
put("bootstrap_interval.headache", "pk5 - pk1 with acupuncture: mean, median", a, function(d) mean(d$d), function(d) median(d$d))
put("bootstrap_interval.lung", "time: mean, median", lung, function(d) mean(d$time), function(d) median(d$time))
put("standardized_mean.headache", "mean(pk5 - pk1) / sd(pk1) with acupuncture", a, function(d) mean(d$d) / sd(d$pk1))
stroke$d <- stroke$week8 - stroke$week1
put("standardized_mean.stroke", "mean(week8 - week1) / sd(week1)", stroke, function(d) mean(d$d) / sd(d$week1))

pk <- c("boot", "pwr", "sandwich", "Epi")
versions <- c(R = paste(R.version$major, R.version$minor, sep = "."), sapply(pk, function(p) as.character(packageVersion(p))))
write_json(list(versions = as.list(versions), cases = cases), "expected.json", digits = NA, auto_unbox = TRUE, na = "string", pretty = TRUE, matrix = "rowmajor")
