# Reference values for multiple imputation, pooling and tipping points in therapyeval.stats.
# Run in this folder:  Rscript make_reference.R REAL_DATA_FOLDER     (only results leave that folder, never rows)
# Debian: r-base-core r-recommended r-cran-jsonlite -mice -sandwich          (about two minutes)
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

versions <- c(R = paste(R.version$major, R.version$minor, sep = "."), sapply(c("mice", "MASS", "nnet", "sandwich"), function(p) as.character(packageVersion(p))))
write_json(list(versions = as.list(versions), cases = cases), "expected.json", digits = NA, auto_unbox = TRUE, na = "string", pretty = TRUE, matrix = "rowmajor")
