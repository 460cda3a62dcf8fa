# Reference values for therapyeval.stats, made by R packages that share no code with it.
# Run in this folder:  Rscript make_reference.R REAL_DATA_FOLDER TABLEONE_MODULES_SMD_R
#   REAL_DATA_FOLDER         holds acupuncture_headache and back_pain_prt; only results leave it, never rows
#   TABLEONE_MODULES_SMD_R   R/modules-smd.R of tableone 0.13.2 (github.com/kaz-yos/tableone, e2e7cccd), not in Debian
# Debian: r-base-core r-recommended r-cran-jsonlite -sandwich -lmtest -clubsandwich -survey -epi
suppressMessages({
  library(survival); library(sandwich); library(lmtest); library(clubSandwich)
  library(survey); library(Epi); library(jsonlite)
})
arguments <- commandArgs(TRUE); real <- arguments[1]; source(arguments[2])
cases <- list()
keep <- function(id, call, ...) cases[[id]] <<- list(call = call, values = lapply(list(...), unname))

# ---- inputs that may be committed ------------------------------------------------------------------------------
stroke <- read.csv("stroke.csv"); stroke$change <- stroke$week8 - stroke$week1
long <- reshape(stroke, direction = "long", varying = paste0("week", 1:8), v.names = "ability",
                timevar = "week", times = 1:8, idvar = "Subject")
long <- long[order(long$Subject, long$week), c("Subject", "Group", "week", "ability")]
kutner <- read.csv("kutner.csv")
lung <- na.omit(survival::lung[, c("inst", "time", "status", "age", "sex", "ph.ecog")])
lung$seen <- as.integer(lung$status == 2); lung$ecog <- paste0("grade ", pmin(lung$ph.ecog, 2))
lung <- lung[order(lung$inst, lung$time, lung$age), c("inst", "time", "seen", "age", "sex", "ecog")]
kidney <- survival::kidney[, c("id", "time", "status", "age", "sex", "disease")]
veteran <- survival::veteran[, c("trt", "celltype", "time", "status", "karno", "age")]
set.seed(20260930)                       # half of the patients have one episode, the others two to nine
size <- sample(c(rep(1, 30), 2:9, 2:9, rep(2, 14))); patient <- rep(seq_along(size), size)
clustered <- data.frame(patient, arm = sample(0:2, length(patient), TRUE), age = round(rnorm(length(patient), 60, 12)),
                        payer = sample(c("public", "private", "self"), length(patient), TRUE))
clustered$score <- round(40 + 3 * clustered$arm - 0.1 * clustered$age + rnorm(length(size), 0, 6)[patient] +
                           rnorm(length(patient), 0, 8), 1)
for (name in c("long", "lung", "kidney", "veteran", "clustered")) {
  write.csv(get(name), paste0(sub("long", "stroke_long", name), ".csv"), row.names = FALSE, quote = FALSE)
}
a <- read.csv(file.path(real, "acupuncture_headache/acupuncture.csv"), fileEncoding = "UTF-8-BOM")
a <- a[!is.na(a$pk5), ]
b <- read.csv(file.path(real, "back_pain_prt/Ashar2022_outcomes_demographics.csv"),
              na.strings = c("NaN", "", "<undefined>"))
b <- b[b$is_patient == 1 & !is.na(b$group), c("id", "time", "group", "odi", "age", "gender", "pain_avg")]
b <- merge(b[b$time == 1, ], b[b$time == 2, c("id", "odi", "pain_avg")], by = "id", suffixes = c("1", "2"))
b <- b[!is.na(b$odi2) & !is.na(b$odi1), ]

# ---- means: t.test; clustered: sandwich::vcovCL(type = "HC0"), which multiplies by G/(G-1), t with G - 1 ---------
t_mean <- function(x) { t <- t.test(x); c(t$estimate, t$conf.int) }
cl_mean <- function(x, cluster, level = 0.95) {
  m <- lm(x ~ 1); v <- vcovCL(m, cluster = cluster, type = "HC0", cadjust = TRUE); g <- length(unique(cluster))
  coef(m) + c(0, -1, 1) * qt(1 - (1 - level) / 2, g - 1) * sqrt(v[1, 1])
}
rows <- function(l) do.call(rbind, l)
keep("mean.stroke_change", "t.test(week8 - week1) by Group", rows = rows(tapply(stroke$change, stroke$Group, t_mean)))
keep("mean.stroke_long", "vcovCL(lm(ability ~ 1), ~Subject, 'HC0') by Group",
     rows = rows(lapply(split(long, long$Group), function(d) cl_mean(d$ability, d$Subject))))
keep("mean.kidney_90", "vcovCL(lm(time ~ 1), ~id, 'HC0') by disease, level 0.90",
     rows = rows(lapply(split(kidney, kidney$disease), function(d) cl_mean(d$time, d$id, 0.9))))
keep("mean.lung", "vcovCL(lm(time ~ 1), ~inst, 'HC0') by sex",
     rows = rows(lapply(split(lung, lung$sex), function(d) cl_mean(d$time, d$inst))))
keep("mean.acupuncture_practice", "vcovCL(lm(pk5 ~ 1), ~practice_id, 'HC0') by group 0, 1",
     rows = rows(lapply(split(a, a$group), function(d) cl_mean(d$pk5, d$practice_id))))
keep("t_quantile", "qt(0.975, df)", df = c(0.6, 1, 2.5, 11.883133, 37, 266.59758, 1e5),
     t = qt(0.975, c(0.6, 1, 2.5, 11.883133, 37, 266.59758, 1e5)))

# ---- proportions, rates, ratios, medians ---------------------------------------------------------------------
k <- c(2, 0, 5, 87, 45, 33, 10, 5, 1, 64); n <- c(5, 5, 5, 161, 140, 50, 51, 50, 1, 1000)
wilson <- function(k, n, level) suppressWarnings(prop.test(k, n, conf.level = level, correct = FALSE)$conf.int[1:2])
keep("proportion", "prop.test(correct = FALSE)$conf.int", k = k, n = n,
     limits95 = t(mapply(wilson, k, n, 0.95)), limits99 = t(mapply(wilson, k, n, 0.99)))
x <- c(3, 0, 2, 17, 250); e <- c(4000, 4000, 5000, 812.5, 9001)
garwood <- function(x, e, level) poisson.test(x, e, conf.level = level)$conf.int[1:2]
keep("event_rate", "poisson.test(x, exposure)$conf.int, per unit", x = x, exposure = e,
     limits95 = t(mapply(garwood, x, e, 0.95)), limits90 = t(mapply(garwood, x, e, 0.9)))
svy_ratio <- function(d, a, b, cluster) {
  s <- svydesign(ids = as.formula(paste0("~", cluster)), data = d, weights = ~1)
  r <- svyratio(as.formula(paste0("~", a)), as.formula(paste0("~", b)), s)
  c(coef(r), confint(r, df = degf(s)))
}
keep("ratio.kidney", "survey::svyratio(~status, ~time, ids = ~id), confint(df = degf), by sex 1, 2",
     rows = rows(lapply(split(kidney, kidney$sex), svy_ratio, "status", "time", "id")))
keep("ratio.lung", "survey::svyratio(~seen, ~time, ids = ~inst), by sex 1, 2",
     rows = rows(lapply(split(lung, lung$sex), svy_ratio, "seen", "time", "inst")))
keep("ratio.clustered", "survey::svyratio(~score, ~age, ids = ~patient), by arm 0, 1, 2",
     rows = rows(lapply(split(clustered, clustered$arm), svy_ratio, "score", "age", "patient")))
order_median <- function(x, level = 0.95) {     # straight from the definition, by trying every rank
  x <- sort(x); n <- length(x); alpha <- 1 - level
  ok <- which(sapply(seq_len(n %/% 2), function(l) pbinom(l - 1, n, 0.5) <= alpha / 2))
  l <- if (length(ok)) max(ok) else NA
  c(median(x), x[l], x[n + 1 - l])
}
keep("median.lung", "median(); ranks by trying every l with pbinom(l - 1, n, 0.5) <= 0.025; time by sex",
     rows = rows(tapply(lung$time, lung$sex, order_median)))
keep("median.kutner", "the same, y by group", rows = rows(tapply(kutner$y, kutner$group, order_median)))
keep("median.veteran_80", "the same, age by celltype (order of levels), level 0.80",
     rows = rows(tapply(veteran$age, veteran$celltype, order_median, 0.8)))
probs <- c(0, 0.1, 0.25, 0.5, 0.75, 0.9, 1)
keep("quantile.lung", "quantile(time, p, type = 7) by sex", p = probs,
     rows = rows(tapply(lung$time, lung$sex, quantile, probs, type = 7)))
keep("quantile.kutner", "quantile(y, p, type = 7) by group", p = probs,
     rows = rows(tapply(kutner$y, kutner$group, quantile, probs, type = 7)))
keep("sd.lung", "sd(time) by sex", sd = c(tapply(lung$time, lung$sex, sd)))
keep("sd.kutner", "sd(y) by group", sd = c(tapply(kutner$y, kutner$group, sd)))

# ---- Kaplan-Meier -----------------------------------------------------------------------------------------------
km <- function(t, s, g, level) {
  f <- survfit(Surv(t, s) ~ g, conf.type = "log-log", conf.int = level); p <- c(0.1, 0.25, 0.5, 0.75, 0.9)
  q <- quantile(f, p); list(p = p, estimate = q$quantile, low = q$lower, high = q$upper)
}
km_keep <- function(id, call, r) keep(id, call, p = r$p, estimate = r$estimate, low = r$low, high = r$high)
call <- "quantile(survfit(Surv(time, event) ~ group, conf.type = 'log-log'))"
km_keep("km.lung", paste(call, "by sex"), km(lung$time, lung$seen, lung$sex, 0.95))
km_keep("km.veteran", paste(call, "by celltype"), km(veteran$time, veteran$status, veteran$celltype, 0.95))
km_keep("km.veteran_90", paste(call, "by trt, level 0.90"), km(veteran$time, veteran$status, veteran$trt, 0.9))
km_keep("km.kidney", paste(call, "by disease"), km(kidney$time, kidney$status, kidney$disease, 0.95))
printed <- function(t, s) summary(survfit(Surv(t, s) ~ 1, conf.type = "log-log"))$table[c("median", "0.95LCL", "0.95UCL")]
keep("km.last_stretch", "summary(survfit(Surv(c(2,5,9,14), c(1,1,0,0)) ~ 1, conf.type = 'log-log'))$table",
     row = printed(c(2, 5, 9, 14), c(1, 1, 0, 0)))
keep("km.uncensored", "the same, Surv(c(2,5,9,14), rep(1, 4))", row = printed(c(2, 5, 9, 14), rep(1, 4)))
keep("km.waiting", "the same, Surv(c(2,5,9,14,20), c(1,1,1,1,0))", row = printed(c(2, 5, 9, 14, 20), c(1, 1, 1, 1, 0)))

# ---- two groups ---------------------------------------------------------------------------------------------------
welch <- function(y, g, one, two, level = 0.95) {
  t <- t.test(y[g == one], y[g == two], conf.level = level)
  c(t$estimate[1] - t$estimate[2], t$conf.int, t$p.value, t$parameter)
}
keep("welch.kutner", "t.test: groups 1-2, 1-3, 3-2", rows = rows(list(
  welch(kutner$y, kutner$group, 1, 2), welch(kutner$y, kutner$group, 1, 3), welch(kutner$y, kutner$group, 3, 2))))
keep("welch.stroke_90", "t.test of week8 - week1: A-B, A-C, level 0.90", rows = rows(list(
  welch(stroke$change, stroke$Group, "A", "B", 0.9), welch(stroke$change, stroke$Group, "A", "C", 0.9))))
keep("welch.acupuncture", "t.test of pk5: group 0-1", rows = rows(list(welch(a$pk5, a$group, 0, 1))))
pairs <- rbind(c(56, 70, 48, 80), c(9, 10, 3, 10), c(6, 7, 2, 7), c(5, 56, 0, 29), c(0, 10, 0, 20), c(0, 10, 0, 10),
               c(10, 10, 0, 20), c(10, 10, 0, 10), c(87, 161, 45, 140), c(33, 50, 10, 51), c(33, 50, 5, 50))
newcombe <- function(v) {
  ci <- suppressWarnings(ci.pd(v[1], v[3], v[2] - v[1], v[4] - v[3], method = "Nc", print = FALSE, detail.labs = FALSE))
  p <- suppressWarnings(prop.test(v[c(1, 3)], v[c(2, 4)], correct = FALSE)$p.value)
  c(ci[5], ci[6], ci[7], p)
}
keep("risk_difference", "Epi::ci.pd(method = 'Nc'); p of prop.test(correct = FALSE)", counts = pairs,
     rows = t(apply(pairs, 1, newcombe)))

# ---- adjusted differences -------------------------------------------------------------------------------------------
ols <- function(m, term, type, level = 0.95) {
  v <- if (type == "classical") vcov(m) else vcovHC(m, type = type)
  t <- coeftest(m, vcov. = v, df = df.residual(m))[term, ]
  c(t[1], coefci(m, term, level, vcov. = v, df = df.residual(m)), t[4], df.residual(m))
}
all_ols <- function(m, term) rows(lapply(c("classical", "HC2", "HC3"), function(type) ols(m, term, type)))
club <- function(m, term, cluster, level = 0.95) {
  t <- coef_test(m, vcov = "CR2", cluster = cluster, test = "Satterthwaite")[term, ]
  i <- conf_int(m, vcov = "CR2", cluster = cluster, level = level, test = "Satterthwaite")[term, ]
  c(t$beta, i$CI_L, i$CI_U, t$p_Satt, t$df_Satt)
}
keep("ols.acupuncture", "lm(pk5 ~ I(1 - group) + pk1 + age + sex + migraine + chronicity): classical, HC2, HC3 (coefci)",
     rows = all_ols(lm(pk5 ~ I(1 - group) + pk1 + age + sex + migraine + chronicity, a), "I(1 - group)"))
b$arm <- factor(b$group)
keep("ols.back_pain", "lm(odi2 ~ arm + odi1): arm 2 - 1 under classical, HC2, HC3, then arm 3 - 1",
     rows = rbind(all_ols(lm(odi2 ~ arm + odi1, b), "arm2"), all_ols(lm(odi2 ~ arm + odi1, b), "arm3")))
keep("ols.lung", "lm(time ~ sex + age + ecog): sex 2 - 1 under classical, HC2, HC3",
     rows = all_ols(lm(time ~ factor(sex) + age + ecog, lung), "factor(sex)2"))
keep("ols.kutner", "lm(y ~ factor(group)): 2 - 1 under classical, HC2, HC3",
     rows = all_ols(lm(y ~ factor(group), kutner), "factor(group)2"))
row1 <- function(id, call, ...) keep(id, paste("clubSandwich CR2, Satterthwaite:", call), rows = rows(list(...)))
m <- lm(pk5 ~ I(1 - group) + pk1 + age + sex + migraine + chronicity, a)
row1("cr2.acupuncture", "the model of ols.acupuncture, cluster practice_id", club(m, "I(1 - group)", a$practice_id))
m <- lm(ability ~ Group + week, long)
row1("cr2.stroke_long", "lm(ability ~ Group + week), cluster Subject: B - A, C - A",
     club(m, "GroupB", long$Subject), club(m, "GroupC", long$Subject))
row1("cr2.stroke_plain_90", "lm(ability ~ Group), cluster Subject: B - A, level 0.90",
     club(lm(ability ~ Group, long), "GroupB", long$Subject, 0.9))
m <- lm(time ~ factor(sex) + age + disease, kidney)
row1("cr2.kidney", "lm(time ~ sex + age + disease), cluster id: sex 2 - 1", club(m, "factor(sex)2", kidney$id))
m <- lm(time ~ factor(sex) + age + ecog, lung)
row1("cr2.lung", "lm(time ~ sex + age + ecog), cluster inst: sex 2 - 1", club(m, "factor(sex)2", lung$inst))
m <- lm(time ~ factor(sex) + age + factor(inst), lung)
row1("cr2.lung_fixed_effects", "lm(time ~ sex + age + factor(inst)), cluster inst: sex 2 - 1 (singular blocks)",
     club(m, "factor(sex)2", lung$inst))
m <- lm(score ~ factor(arm) + age + payer, clustered); m1 <- update(m, . ~ relevel(factor(arm), "1") + age + payer)
row1("cr2.clustered", "lm(score ~ arm + age + payer), cluster patient, 30 of 60 with one row: 1 - 0, 2 - 0, 2 - 1",
     club(m, "factor(arm)1", clustered$patient), club(m, "factor(arm)2", clustered$patient),
     club(m1, 'relevel(factor(arm), "1")2', clustered$patient))
row1("cr2.clustered_plain", "lm(score ~ arm), cluster patient: 1 - 0",
     club(lm(score ~ factor(arm), clustered), "factor(arm)1", clustered$patient))
row1("cr2.kutner_single", "lm(y ~ factor(group)), every row its own cluster: 2 - 1, 3 - 1",
     club(lm(y ~ factor(group), kutner), "factor(group)2", seq_len(nrow(kutner))),
     club(lm(y ~ factor(group), kutner), "factor(group)3", seq_len(nrow(kutner))))
d <- data.frame(score = c(20, 25, 27, 22, 20, 26, 20, 23), arm = rep(c(1, 0), each = 4),
                baseline = c(10, 12, 14, 11, 13, 16, 12, 15))
keep("doctest.adjusted", "lm(score ~ arm + baseline), HC3, the docstring's numbers",
     rows = rows(list(ols(lm(score ~ arm + baseline, d), "arm", "HC3"))))

# ---- balance: tableone's own functions -----------------------------------------------------------------------------
keep("smd.numeric_veteran", "tableone StdDiff of karno, age, time by trt",
     smd = sapply(c("karno", "age", "time"), function(v) StdDiff(veteran[[v]], veteran$trt)))
keep("smd.numeric_lung", "tableone StdDiff of age, time by sex",
     smd = sapply(c("age", "time"), function(v) StdDiff(lung[[v]], lung$sex)))
keep("smd.categorical", "tableone StdDiffMulti: veteran celltype by trt, lung ecog by sex, kidney disease by sex, kidney status by sex",
     smd = c(StdDiffMulti(veteran$celltype, veteran$trt), StdDiffMulti(lung$ecog, lung$sex),
             StdDiffMulti(kidney$disease, kidney$sex), StdDiffMulti(kidney$status, kidney$sex)))
keep("smd.acupuncture", "tableone StdDiff of age, pk1, chronicity, then StdDiffMulti of sex, by group",
     smd = c(sapply(c("age", "pk1", "chronicity"), function(v) StdDiff(a[[v]], a$group)), StdDiffMulti(a$sex, a$group)))
keep("smd.docstring", "tableone StdDiffFromLstMeans(list(c(.3, .5), c(.3, .4)))", smd = StdDiffFromLstMeans(list(c(0.3, 0.5), c(0.3, 0.4))))

packages <- c("survival", "sandwich", "lmtest", "clubSandwich", "survey", "Epi")
versions <- c(R = paste(R.version$major, R.version$minor, sep = "."), tableone = "0.13.2 (modules-smd.R)",
              sapply(packages, function(p) as.character(packageVersion(p))))
write_json(list(versions = as.list(versions), cases = cases), "expected.json", digits = NA, auto_unbox = TRUE,
           na = "null", pretty = TRUE, matrix = "rowmajor")
