# Reference values for multiple imputation, pooling and tipping points in therapyeval.stats.
# Run in this folder:  Rscript make_reference.R REAL_DATA_FOLDER     (only results leave that folder, never rows)
# Debian: r-base-core r-recommended r-cran-jsonlite -mice -sandwich -brglm2 -geepack -lmertest          (about two minutes)
suppressMessages({ library(jsonlite); library(mice); library(MASS); library(nnet); library(sandwich) })
real <- commandArgs(TRUE)[1]
cases <- list()
keep <- function(id, call, ...) cases[[id]] <<- list(call = call, values = lapply(list(...), unname))
rows <- function(l) do.call(rbind, l)
set.seed(20260102)

# ---- inputs: the lung and stroke data with holes; who lacks a value depends on what is known ------------------------------
lung <- read.csv("../stats/lung.csv"); lung <- lung[lung$ecog != "grade 3", c("time", "seen", "age", "sex", "ecog")]
n <- nrow(lung); hole <- function(p) runif(n) < p
lung$age[hole(plogis(-2 + lung$time / 400))] <- NA; lung$ecog[hole(0.1 + 0.1 * lung$sex)] <- NA
lung$sex[hole(0.15)] <- NA; lung$time[hole(ifelse(lung$seen == 1, 0.1, 0.3))] <- NA
write.csv(lung, "lung_holes.csv", row.names = FALSE, quote = FALSE, na = "")
stroke <- read.csv("../stats/stroke.csv")[c("Group", "week1", "week4", "week8")]; stroke$week8[c(2, 5, 11, 14, 18, 23)] <- NA; stroke$week4[c(7, 14, 21)] <- NA
write.csv(stroke, "stroke_holes.csv", row.names = FALSE, quote = FALSE, na = "")
lung$ecog <- factor(lung$ecog); lung$sex <- factor(lung$sex); stroke$Group <- factor(stroke$Group)

# ---- Rubin's rules: mice::pool on imputations that the library is given too -----------------------------------------------
export <- function(imp) lapply(imp$imp[sapply(imp$imp, nrow) > 0], function(d) { v <- t(sapply(d, function(c) as.numeric(as.character(sub("grade ", "", c))))); unname(v) })
pooled <- function(fits, level = 0.95, dfcom = NULL, back = identity) {
  p <- pool(fits, dfcom = dfcom); s <- summary(p, conf.int = TRUE, conf.level = level); k <- nrow(s)
  c(back(s$estimate[k]), back(s[k, 7]), back(s[k, 8]), s$p.value[k], s$df[k], p$pooled$fmi[k], sqrt(p$pooled$b[k] / p$pooled$m[k]))
}
il <- mice(lung, m = 7, maxit = 5, printFlag = FALSE, seed = 1, method = c("pmm", "", "pmm", "logreg", "polyreg"))
is <- mice(stroke, m = 5, maxit = 5, printFlag = FALSE, seed = 2, method = c("", "", "norm", "norm"))
keep("pool.lung", "mice 7 imputations; pool(lm(time ~ age + sex)): sex 2 - 1; pool(glm(seen ~ age + sex, binomial), dfcom = Inf): odds ratio, level 0.90; columns estimate, low, high, p, df, fmi, sqrt(b / m)",
     rows = rows(list(pooled(with(il, lm(time ~ age + sex))),
                      pooled(with(il, glm(seen ~ age + sex, binomial, control = glm.control(epsilon = 1e-14))), 0.9, Inf, exp))),
     imputed = export(il))
hc3 <- function(imp, f, level = 0.95, shift = 0, who = NULL) {          # A - C with HC3, by mice::pool.scalar
  q <- sapply(complete(imp, "all"), function(d) { d$week8[who] <- d$week8[who] + shift; m <- lm(f, d); c(-coef(m)[["GroupC"]], vcovHC(m, "HC3")["GroupC", "GroupC"], df.residual(m)) })
  s <- pool.scalar(q[1, ], q[2, ], n = q[3, 1] + 1, k = 1); h <- qt((1 + level) / 2, s$df) * sqrt(s$t)
  c(s$qbar, s$qbar - h, s$qbar + h, 2 * pt(-abs(s$qbar / sqrt(s$t)), s$df), s$df, s$fmi, sqrt(s$b / s$m))
}
keep("pool.stroke", "mice 5 imputations; pool(lm(week8 ~ Group + week1)): C - A; pool.scalar of A - C with vcovHC HC3",
     rows = rows(list(pooled(with(is, lm(week8 ~ week1 + relevel(Group, "A")))), hc3(is, week8 ~ Group + week1))), imputed = export(is))

# ---- tipping point: values imputed in one arm shifted, analysed and pooled anew; the root by uniroot ----------------------
who <- which(is.na(stroke$week8) & stroke$Group == "A"); f <- week8 ~ Group + week1
edge <- function(delta, k, target = 0) hc3(is, f, shift = delta, who = who)[k] - target
now <- hc3(is, f); k <- if (now[2] <= 0 && now[3] >= 0) 2 else stop("chosen for an interval that holds 0")
keep("tipping.stroke", "HC3, A - C, imputed week8 of A shifted by -20, 0, 20, 40, 60; the shift at which the interval leaves 0",
     rows = rows(lapply(c(-20, 0, 20, 40, 60), function(d) hc3(is, f, shift = d, who = who)[1:5])),
     tipping = uniroot(edge, c(0, 60), k = 2, tol = 1e-10)$root)
wl <- which(is.na(lung$time)); ml <- complete(il, "all")
shifted <- function(delta) { fits <- lapply(ml, function(d) { i <- intersect(wl, which(d$seen == 0)); d$time[i] <- d$time[i] + delta; lm(time ~ age + seen, d) })
  pooled(as.mira(fits)) }
keep("tipping.lung", "lm(time ~ age + seen): 1 - 0, imputed times of seen = 0 shifted by -400, -200, 0; the shift at which the interval comes to 0",
     rows = rows(lapply(c(-400, -200, 0), function(d) shifted(d)[1:5])), tipping = { s <- shifted(0); side <- if (s[3] < 0) 3 else 2
       r <- function(d) shifted(d)[side]; uniroot(r, c(-400, 0), tol = 1e-9)$root })

# ---- Rubin's rules on the log scale: mice::pool of models of ratios, with its own df of the complete data -----------------
suppressMessages({ library(survival); library(brglm2); library(geepack); library(lmerTest) })
by_term <- function(fits, term, level = 0.95, dfcom = NULL, sign = 1) {
  p <- pool(fits, dfcom = dfcom); s <- summary(p, conf.int = TRUE, conf.level = level); k <- match(term, s$term); stopifnot(!is.na(k))
  ends <- sort(sign * unlist(s[k, 7:8])); c(exp(sign * s$estimate[k]), exp(ends), s$p.value[k], s$df[k], p$pooled$fmi[k], sqrt(p$pooled$b[k] / p$pooled$m[k]))
}
tight <- glm.control(epsilon = 1e-14, maxit = 100); firth <- list(epsilon = 1e-12, maxit = 1000)
grade <- function(x, breaks) cut(x, breaks, ordered_result = TRUE)
keep("ratios.lung", "mice 7 imputations, pool(): sex 2 - 1 given age: glm(seen, binomial) at level 0.90; brglm2 AS_mean (Firth); MASS::polr(time in 0-150, 151-300, 301+); glm(time %/% 50, poisson), MASS::glm.nb(the same) with offset log(age) and ecog; coxph",
     rows = rows(list(
       by_term(with(il, glm(seen ~ age + sex, binomial, control = tight)), "sex2", 0.9),
       by_term(with(il, glm(seen ~ age + sex, binomial, method = "brglmFit", type = "AS_mean", control = firth)), "sex2"),
       by_term(with(il, polr(grade(time, c(0, 150, 300, Inf)) ~ age + sex, Hess = TRUE, control = list(reltol = 1e-15, maxit = 1000))), "sex2"),
       by_term(with(il, glm(time %/% 50 ~ ecog + sex + offset(log(age)), poisson, control = tight)), "sex2"),
       by_term(with(il, glm.nb(time %/% 50 ~ ecog + sex + offset(log(age)), control = glm.control(epsilon = 1e-12, maxit = 200))), "sex2"),
       by_term(with(il, coxph(Surv(time, seen) ~ age + sex, control = coxph.control(eps = 1e-11, toler.chol = 1e-13))), "sex2"))))
keep("ratios.stroke", "mice 5 imputations, pool(): C - A given week1 (glm binomial, coxph: without): glm(week8 >= 80, binomial); brglm2 AS_mean; polr(week8 below 40, 40-70, above); glm(floor(max(week8, 0) / 10), poisson), glm.nb(floor(max(week8, 0))) with offset log(10 + week4); coxph(max(week8, 1)), all events",
     rows = rows(list(
       by_term(with(is, glm(I(week8 >= 80) ~ Group, binomial, control = tight)), "GroupC"),
       by_term(with(is, glm(I(week8 >= 80) ~ week1 + Group, binomial, method = "brglmFit", type = "AS_mean", control = firth)), "GroupC"),
       by_term(with(is, polr(grade(week8, c(-Inf, 40, 70, Inf)) ~ week1 + Group, Hess = TRUE, control = list(reltol = 1e-15, maxit = 1000))), "GroupC"),
       by_term(with(is, glm(floor(pmax(week8, 0) / 10) ~ week1 + Group + offset(log(10 + pmax(week4, 0))), poisson, control = tight)), "GroupC"),
       by_term(with(is, glm.nb(floor(pmax(week8, 0)) ~ week1 + Group + offset(log(10 + pmax(week4, 0))), control = glm.control(epsilon = 1e-12, maxit = 200))), "GroupC"),
       by_term(with(is, coxph(Surv(pmax(week8, 1)) ~ Group, control = coxph.control(eps = 1e-11, toler.chol = 1e-13))), "GroupC"))))
for (d in list(lung = na.omit(read.csv("../stats/lung.csv")[c("time", "seen")]), veteran = setNames(read.csv("../stats/veteran.csv")[c("time", "status")], c("time", "seen"))))
  keep(paste0("hazard.", nrow(d)), "survfit(Surv(time, event) ~ 1)$cumhaz at each row's time", rows = { s <- survfit(Surv(time, seen) ~ 1, d); s$cumhaz[match(d$time, s$time)] })
# clustered: estimate and variance of each imputation to pool.scalar, with the mean df of the imputations as that of the complete data
clusters <- function(each, imp, level = 0.95, back = identity) { q <- sapply(complete(imp, "all"), each)
  s <- pool.scalar(q[1, ], q[2, ], n = if (nrow(q) > 2) mean(q[3, ]) + 1 else Inf, k = 1); h <- qt((1 + level) / 2, s$df) * sqrt(s$t)
  c(back(s$qbar + c(0, -h, h)), 2 * pt(-abs(s$qbar / sqrt(s$t)), s$df), s$df, s$fmi, sqrt(s$b / s$m)) }
by_gee <- function(d, f, family) { d <- d[order(d$site), ]; m <- geeglm(f, data = d, id = site, family = family, corstr = "exchangeable", control = geese.control(epsilon = 1e-13, maxit = 500)); k <- length(coef(m)); c(coef(m)[k], m$geese$vbeta[k, k]) }
by_lmer <- function(d, f) { m <- suppressMessages(lmer(f, d, control = lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 2e-3, rhoend = 1e-11, maxfun = 1e5), calc.derivs = FALSE, check.conv.singular = "ignore")))
  L <- rep(0, length(fixef(m))); L[length(L)] <- 1; r <- contest1D(m, L); c(r[["Estimate"]], r[["Std. Error"]]^2, r[["df"]]) }
lung_at <- function(d) { d$site <- (seq_len(nrow(d)) - 1) %/% 19; d$time <- d$time + 40 * (d$site %% 5); d }; stroke_at <- function(d) { d$site <- (seq_len(nrow(d)) - 1) %% 6; d$week8 <- d$week8 + 10 * (d$site %% 3); d }
keep("clusters.lung", "geeglm (sandwich, z) of seen, binomial, and of time; lmerTest of time: sex 2 - 1 given age, sites of 19 rows with made-up shifts of time; pool.scalar",
     rows = rows(list(clusters(function(d) by_gee(lung_at(d), seen ~ age + sex, binomial), il, back = exp),
                      clusters(function(d) by_gee(lung_at(d), time ~ age + sex, gaussian), il), clusters(function(d) by_lmer(lung_at(d), time ~ age + sex + (1 | site)), il))))
keep("clusters.stroke", "the same: week8 >= 80 and week8 by Group, C - A given week1 (odds: without), six made-up sites with shifts of the mean",
     rows = rows(list(clusters(function(d) by_gee(stroke_at(d), I(week8 - 10 * (site %% 3) >= 80) ~ Group, binomial), is, back = exp),
                      clusters(function(d) by_gee(stroke_at(d), week8 ~ week1 + Group, gaussian), is), clusters(function(d) by_lmer(stroke_at(d), week8 ~ week1 + Group + (1 | site)), is))))

# ---- the deterministic parts ------------------------------------------------------------------------------------------------
v <- read.csv("../stats/veteran.csv"); v$k <- v$karno / 10; v$a <- v$age / 10
m <- lm(time ~ k + a, v); keep("posterior.veteran", "lm(time ~ karno / 10 + age / 10): coef, vcov, sum of squares, df", beta = coef(m), covariance = vcov(m), rest = c(deviance(m), df.residual(m)))
s <- read.csv("../stats/stroke.csv"); m <- lm(week8 ~ week1, s); keep("posterior.stroke", "lm(week8 ~ week1)", beta = coef(m), covariance = vcov(m), rest = c(deviance(m), df.residual(m)))
y <- factor(v$celltype); ry <- rep(TRUE, nrow(v)); ry[c(1, 5)] <- FALSE; x <- as.matrix(v[c("k", "a", "trt")])
g <- mice:::augment(y, ry, x, !ry); i <- (nrow(v) + 1):nrow(g$x)
keep("augment.veteran", "mice:::augment: sum of the added rows, of their squares, of rows times level, weights", rows = rbind(colSums(g$x[i, ]), colSums(g$x[i, ]^2), colSums(g$x[i, ] * as.integer(g$y[i]))), weight = c(length(i), g$w[i[1]]))
w <- 1 + seq_len(nrow(v)) %% 3
mn <- multinom(celltype ~ k + a, v, weights = w, trace = FALSE, reltol = 1e-15, maxit = 5000)
keep("nominal.veteran", "nnet::multinom(celltype ~ karno / 10 + age / 10, weights = 1 + row %% 3): coefficients of large, smallcell, squamous against adeno", beta = coef(mn), covariance = diag(vcov(mn)))
gl <- glm(I(trt == 2) ~ k + a, binomial, v, weights = w, control = glm.control(epsilon = 1e-14))
keep("nominal.two", "glm(trt == 2 ~ karno / 10 + age / 10, weights)", beta = coef(gl), covariance = vcov(gl))
v$grade <- cut(v$karno, c(0, 40, 65, 100), ordered_result = TRUE)
pl <- polr(grade ~ a + trt, v, weights = w, Hess = TRUE, control = list(reltol = 1e-15, maxit = 1000))
keep("ordered.veteran", "MASS::polr(karno in 0-40, 41-65, 66-100 ~ age / 10 + trt, weights)", theta = c(pl$zeta, coef(pl)), covariance = { V <- vcov(pl); o <- c(3, 4, 1, 2); diag(V[o, o]) })

# ---- the imputation itself: many imputations by mice; each quantity's mean and variance between imputations ------------------
many <- function(data, method, quantities, m = 100) {
  imp <- mice(data, m = m, maxit = 5, printFlag = FALSE, seed = 3, method = method); q <- sapply(complete(imp, "all"), quantities)
  list(mean = rowMeans(q), variance = apply(q, 1, var), m = m)
}
lung_quantities <- function(d) c(mean(d$time), mean(d$age), sd(d$age), mean(d$sex == 2), mean(d$ecog == "grade 0"), mean(d$ecog == "grade 1"),
                                 coef(lm(time ~ age + sex, d))[-1], cor(d$age, d$time))
a <- read.csv(file.path(real, "acupuncture_headache/acupuncture.csv"), fileEncoding = "UTF-8-BOM")[c("age", "sex", "migraine", "chronicity", "group", "pk1", "pk2", "pk5")]
headache_quantities <- function(d) c(mean(d$pk5), sd(d$pk5), mean(d$pk2), coef(lm(pk5 ~ group + pk1, d))[-1])
what <- "mice m = 100, maxit = 5, seed 3: mean and variance between imputations of "
keep_many <- function(id, call, l) keep(id, paste0(what, call), mean = l$mean, variance = l$variance, m = l$m)
lq <- "mean time; mean, SD of age; share of sex 2, grade 0, grade 1; slopes of time on age, sex; correlation"
keep_many("many.lung_pmm", paste(lq, "(pmm, pmm, logreg, polyreg)"), many(lung, c("pmm", "", "pmm", "logreg", "polyreg"), lung_quantities))
lo <- lung; lo$ecog <- factor(lo$ecog, ordered = TRUE)
keep_many("many.lung_norm", paste(lq, "(norm, norm, logreg, polr)"), many(lo, c("norm", "", "norm", "logreg", "polr"), lung_quantities))
hq <- "mean, SD of pk5; mean pk2; coefficients of group and pk1 on pk5"
keep_many("many.headache_pmm", paste(hq, "(pmm)"), many(a, c(rep("", 6), "pmm", "pmm"), headache_quantities))
keep_many("many.headache_norm", paste(hq, "(norm)"), many(a, c(rep("", 6), "norm", "norm"), headache_quantities))

versions <- c(R = paste(R.version$major, R.version$minor, sep = "."), sapply(c("mice", "MASS", "nnet", "sandwich", "survival", "brglm2", "geepack", "lmerTest"), function(p) as.character(packageVersion(p))))
write_json(list(versions = as.list(versions), cases = cases), "expected.json", digits = NA, auto_unbox = TRUE, na = "string", pretty = TRUE, matrix = "rowmajor")
