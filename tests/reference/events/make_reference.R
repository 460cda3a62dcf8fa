# Reference values for times to an event in therapyeval.stats.
# Run in this folder:  Rscript make_reference.R
# Debian: r-base-core r-recommended r-cran-jsonlite r-cran-cmprsk
suppressMessages({ library(jsonlite); library(survival); library(cmprsk) })
cases <- list()
keep <- function(id, call, ...) cases[[id]] <<- list(call = call, values = lapply(list(...), unname))
rows <- function(l) do.call(rbind, lapply(l, unname))
wald <- function(est, se, back = identity, level = 0.95)
  c(back(est + c(0, -1, 1) * qnorm((1 + level) / 2) * se), 2 * pnorm(-abs(est / se)))

lung <- read.csv("../stats/lung.csv"); kidney <- read.csv("../stats/kidney.csv"); veteran <- read.csv("../stats/veteran.csv")
mgus2 <- read.csv("../risks/mgus2.csv"); visits <- read.csv("../risks/visits.csv")
veteran$celltype <- factor(veteran$celltype, c("squamous", "smallcell", "adeno", "large"))
kidney$disease <- factor(kidney$disease, c("Other", "GN", "AN", "PKD"))

# ---- Kaplan-Meier curves --------------------------------------------------------------------------------------------
curve <- function(f, d, level = 0.95) { s <- summary(survfit(f, d, conf.type = "log-log", conf.int = level), censored = TRUE)
  cbind(as.integer(s$strata) - 1, s$time, s$n.risk, s$n.event, s$surv, s$lower, s$upper) }
call <- "survfit(conf.type = 'log-log'): group, time, n.risk, n.event, surv, lower, upper;"
keep("curve.kidney", paste(call, "by sex"), rows = curve(Surv(time, status) ~ sex, kidney))
keep("curve.veteran", paste(call, "by celltype, level 0.90"), rows = curve(Surv(time, status) ~ celltype, veteran, 0.9))

# ---- log-rank -------------------------------------------------------------------------------------------------------
logrank <- function(f, d, df) { s <- survdiff(f, d); c(s$chisq, df, pchisq(s$chisq, df, lower.tail = FALSE)) }
keep("logrank.lung", "survdiff: by sex; by ecog with strata(sex)", rows = rows(list(
  logrank(Surv(time, seen) ~ sex, lung, 1), logrank(Surv(time, seen) ~ ecog + strata(sex), lung, 2))))
keep("logrank.veteran", "survdiff: by celltype; by trt with strata(celltype)", rows = rows(list(
  logrank(Surv(time, status) ~ celltype, veteran, 3), logrank(Surv(time, status) ~ trt + strata(celltype), veteran, 1))))

# ---- Cox ------------------------------------------------------------------------------------------------------------
tight <- coxph.control(eps = 1e-13, toler.chol = 1e-14, iter.max = 100)
ratio <- function(m, L, level = 0.95) wald(sum(L * coef(m)), sqrt(c(L %*% vcov(m) %*% L)), exp, level)
m1 <- coxph(Surv(time, seen) ~ factor(sex) + age + ecog, lung, control = tight)
keep("cox.lung", "coxph, Efron: sex 2 / 1, with age + ecog; the same with cluster = inst; cox.zph: sex, age, ecog, GLOBAL",
     rows = rows(list(ratio(m1, c(1, 0, 0, 0)))), zph = cox.zph(m1)$table,
     robust = rows(list(ratio(coxph(Surv(time, seen) ~ factor(sex) + age + ecog, lung, cluster = inst, control = tight), c(1, 0, 0, 0)))))
m2 <- coxph(Surv(time, status) ~ celltype + karno + age, veteran, control = tight)
L <- list(c(1, 0, 0, 0, 0), c(0, -1, 1, 0, 0), c(0, 0, -1, 0, 0))
keep("cox.veteran", "coxph, Efron: smallcell / squamous, large / adeno, squamous / large, with karno + age, level 0.90; cox.zph",
     rows = rows(lapply(L, function(l) ratio(m2, l, 0.9))), zph = cox.zph(m2)$table)
m3 <- coxph(Surv(time, status) ~ factor(sex) + age, kidney, cluster = id, control = tight)
m4 <- coxph(Surv(time, status) ~ disease, kidney, control = tight)
keep("cox.kidney", "coxph, Efron, cluster = id: sex 2 / 1 with age; without cluster: disease GN, AN, PKD / Other; cox.zph of the second",
     robust = rows(list(ratio(m3, c(1, 0)))), rows = rows(lapply(1:3, function(i) ratio(m4, diag(3)[i, ]))), zph = cox.zph(m4)$table)
visits$event <- as.integer(visits$cause == 1)
m5 <- coxph(Surv(visits, event) ~ factor(clinic), visits, control = tight)
keep("cox.visits", "coxph, Efron, many ties: clinic 1, 2, 3 / 0; cox.zph",
     rows = rows(lapply(1:3, function(i) ratio(m5, diag(3)[i, ]))), zph = cox.zph(m5)$table)

# ---- Cox by strata --------------------------------------------------------------------------------------------------
m6 <- coxph(Surv(time, seen) ~ factor(sex) + age + strata(ecog), lung, control = tight)
m7 <- coxph(Surv(time, seen) ~ factor(sex) + age + strata(ecog), lung, cluster = inst, control = tight)
keep("strata.lung", "coxph, Efron: sex 2 / 1, with age + strata(ecog); the same with cluster = inst, level 0.90; cox.zph of the first",
     rows = rows(list(ratio(m6, c(1, 0)))), robust = rows(list(ratio(m7, c(1, 0), 0.9))), zph = cox.zph(m6)$table)
m8 <- coxph(Surv(time, status) ~ factor(trt) + karno + strata(celltype), veteran, control = tight)
keep("strata.veteran", "coxph, Efron: trt 2 / 1, with karno + strata(celltype); cox.zph", rows = rows(list(ratio(m8, c(1, 0)))), zph = cox.zph(m8)$table)
visits$third <- seq_len(nrow(visits)) %% 3
m9 <- coxph(Surv(visits, event) ~ factor(clinic) + strata(third), visits, control = tight)
keep("strata.visits", "coxph, Efron, many ties: clinic 1, 2, 3 / 0, strata(row %% 3)", rows = rows(lapply(1:3, function(i) ratio(m9, diag(3)[i, ]))))

# ---- restricted mean time: area under survfit, survival:::survmean; differences and log ratios by hand ---------------
rmst <- function(f, d, tau) summary(survfit(f, d), rmean = tau)$table[, c("rmean", "se(rmean)")]
pair <- function(t, a, b, level = 0.95) list(
  difference = wald(t[a, 1] - t[b, 1], sqrt(t[a, 2]^2 + t[b, 2]^2), identity, level),
  ratio = wald(log(t[a, 1] / t[b, 1]), sqrt((t[a, 2] / t[a, 1])^2 + (t[b, 2] / t[b, 1])^2), exp, level))
means <- function(t, level = 0.95) t(apply(t, 1, function(r) r[1] + c(0, -1, 1) * qnorm((1 + level) / 2) * r[2]))
one <- rmst(Surv(time, seen) ~ sex, lung, 365.25); two <- rmst(Surv(time, status) ~ celltype, veteran, 150)
call <- "summary(survfit, rmean = tau): mean and limits; then difference and ratio (delta method on the log, as survRM2) by hand:"
keep("rmst.lung", paste(call, "by sex to 365.25; 2 against 1"), means = means(one), difference = rows(list(pair(one, 2, 1)$difference)),
     ratio = rows(list(pair(one, 2, 1)$ratio)))
keep("rmst.veteran", paste(call, "by celltype to 150, level 0.90; 2-1, 4-3"), means = means(two, 0.9),
     difference = rows(list(pair(two, 2, 1, 0.9)$difference, pair(two, 4, 3, 0.9)$difference)),
     ratio = rows(list(pair(two, 2, 1, 0.9)$ratio, pair(two, 4, 3, 0.9)$ratio)))

# ---- Gray's test ----------------------------------------------------------------------------------------------------
gray <- function(time, cause, group) { t <- cuminc(time, cause, group)$Tests; t[, c("stat", "df", "pv")] }
mgus2$third <- mgus2$id %% 3
keep("gray.mgus2", "cmprsk::cuminc()$Tests of cause 1, then 2: by sex; by id %% 3", sex = gray(mgus2$stop, mgus2$cause, mgus2$sex),
     third = gray(mgus2$stop, mgus2$cause, mgus2$third))
keep("gray.visits", "the same, many ties", group = gray(visits$visits, visits$cause, visits$clinic))

# ---- the docstrings' numbers ----------------------------------------------------------------------------------------
d <- data.frame(t = c(2, 5, 9, 14, 20, 3, 4, 4, 8, 12), e = c(1, 1, 0, 1, 0, 1, 1, 1, 1, 0), g = rep(0:1, each = 5), c = c(1, 2, 0, 1, 0, 1, 1, 2, 1, 0))
keep("docstrings", "as named: t = 2 5 9 14 20 | 3 4 4 8 12", curve = curve(Surv(t, e) ~ g, d), logrank = logrank(Surv(t, e) ~ g, d, 1),
     cox = ratio(coxph(Surv(t, e) ~ g, d, control = tight), 1), rmst = means(rmst(Surv(t, e) ~ g, d, 10)), gray = gray(d$t, d$c, d$g),
     difference = pair(rmst(Surv(t, e) ~ g, d, 10), 2, 1)$difference, zph = cox.zph(coxph(Surv(t, e) ~ g, d, control = tight))$table)

versions <- c(R = paste(R.version$major, R.version$minor, sep = "."),
              sapply(c("survival", "cmprsk"), function(p) as.character(packageVersion(p))))
write_json(list(versions = as.list(versions), cases = cases), "expected.json", digits = NA, auto_unbox = TRUE,
           na = "string", pretty = TRUE, matrix = "rowmajor")
