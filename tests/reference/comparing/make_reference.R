# Reference values for missing= and for times in therapyeval.analysis.compare.
# Run in this folder:  Rscript make_reference.R REAL_DATA_FOLDER     (only results leave that folder, never rows)
# Debian: r-base-core r-recommended r-cran-jsonlite -mice -sandwich -survival -clubsandwich
suppressMessages({ library(jsonlite); library(mice); library(sandwich); library(survival) })
real <- commandArgs(TRUE)[1]
cases <- list()
keep <- function(id, call, ...) cases[[id]] <<- list(call = call, values = lapply(list(...), unname))
a <- read.csv(file.path(real, "acupuncture_headache/acupuncture.csv"), fileEncoding = "UTF-8-BOM")
a <- with(a, data.frame(change = pk1 - pk5, group, baseline = pk1, age, sex, migraine, chronicity))
d <- read.csv("../missing/dropout.csv")
one <- with(d[!duplicated(d$patient), ], data.frame(change, group = arm, baseline, visits))

# ---- imputation: the same model by mice (predictive mean matching), many times; pooled by mice, and the tipping point.
# The imputations are random, so the values carry a Monte-Carlo error: sqrt(between / m) of the estimate.
imputed <- function(id, d, f, m = 200) {
  i <- mice(d, m = m, maxit = 1, method = ifelse(names(d) == "change", "pmm", ""), seed = 7, printFlag = FALSE)
  rows <- which(d$group == 1 & is.na(d$change))
  pooled <- function(shift) { fits <- lapply(complete(i, "all"), function(x) { x$change[rows] <- x$change[rows] + shift; lm(f, x) })
    s <- summary(pool(as.mira(fits)), conf.int = TRUE); s <- s[s$term == "group", ]; c(s$estimate, s$`2.5 %`, s$`97.5 %`, s$p.value) }
  p <- pool(with(i, lm(formula(deparse1(f)))))$pooled; p <- p[p$term == "group", ]
  zero <- pooled(0); side <- if (zero[2] > 0) c(2, -1) else c(2, 1)
  tip <- uniroot(function(s) pooled(s)[side[1]], sort(c(0, side[2] * 3 * sd(d$change, na.rm = TRUE))), tol = 1e-3)$root
  keep(id, paste("mice pmm, m", m, "seed 7;", deparse1(f), "; pool; shift of imputed values of group 1 at which the interval meets 0"),
       rows = zero, between = p$b, m = m, tipping = tip)
}
imputed("impute.headache", a, change ~ group + baseline + age + sex + migraine + chronicity)
imputed("impute.dropout", one, change ~ group + baseline)

# ---- imputation of classes, of covariates of times, and within sites; who lacks a value is made up by row number ------------
suppressMessages({ library(MASS); library(clubSandwich) })
l <- read.csv("../stats/lung.csv"); l <- l[l$ecog != "grade 3", ]; v <- read.csv("../stats/veteran.csv")
numbers <- function(q, u, df, back = identity) { s <- pool.scalar(q, u, n = df + 1, k = 1); h <- qt(0.975, s$df) * sqrt(s$t); list(rows = c(back(s$qbar + c(0, -h, h)), 2 * pt(-abs(s$qbar / sqrt(s$t)), s$df)), between = s$b) }
by_fits <- function(id, call, i, each, df, back, m = 200) { q <- sapply(complete(i, "all"), each); k <- nrow(q) / 2
  found <- lapply(seq_len(k), function(j) numbers(q[j, ], q[k + j, ], df, back))
  keep(id, paste("mice m", m, "seed 7:", call), rows = do.call(rbind, lapply(found, `[[`, "rows")), between = sapply(found, `[[`, "between"), m = m) }
row <- seq_len(nrow(l)); holes <- with(l, data.frame(grade = factor(ifelse(row %% 4 == 0 | (sex == 2 & row %% 3 == 0), NA, ecog)), group = as.integer(sex == 2), age))
i <- mice(holes, m = 200, maxit = 1, method = c("polyreg", "", ""), seed = 7, printFlag = FALSE)
by_fits("impute.classes", "polyreg of lung's ecog on sex and age; shares of grades 0, 1, 2: sex 2 - 1, p (1 - p) / n, df n - 2", i, function(x) {
  one <- lapply(levels(holes$grade), function(g) { p <- tapply(x$grade == g, x$group, mean); n <- table(x$group); c(p[[2]] - p[[1]], sum(p * (1 - p) / n)) }); c(sapply(one, `[`, 1), sapply(one, `[`, 2)) }, nrow(holes) - 2, identity)
row <- seq_len(nrow(v)); holes <- with(v, data.frame(grade = cut(karno, c(0, 40, 65, 100), ordered_result = TRUE), group = as.integer(trt == 2), age))
holes$grade[row %% 4 == 0 | (holes$group == 1 & holes$age < 60 & row %% 2 == 0)] <- NA
i <- mice(holes, m = 200, maxit = 1, method = c("polr", "", ""), seed = 7, printFlag = FALSE)
by_fits("impute.grades", "polr of veteran's karno in 0-40, 41-65, 66-100 on trt and age; MASS::polr(grade ~ group + age)", i, function(x) { f <- polr(grade ~ group + age, x, Hess = TRUE); c(coef(f)["group"], vcov(f)["group", "group"]) }, nrow(holes) - 4, exp)
holes <- with(v, data.frame(age = ifelse((time < 100 & row %% 3 == 0) | row %% 7 == 0, NA, age), group = as.integer(trt == 2), event = status, hazard = { s <- survfit(Surv(time, status) ~ 1); s$cumhaz[match(time, s$time)] }, karno))
i <- mice(holes, m = 200, maxit = 1, method = c("pmm", "", "", "", ""), seed = 7, printFlag = FALSE)
by_fits("impute.times", "pmm of veteran's age on trt, status, survfit's cumhaz, karno; coxph ~ group + age + karno, df events - 3", i, function(x) { f <- coxph(Surv(v$time, event) ~ group + age + karno, x); c(coef(f)["group"], vcov(f)["group", "group"]) }, sum(v$status) - 3, exp)
row <- seq_len(nrow(l)); site <- (row - 1) %/% 19
holes <- with(l, data.frame(time = ifelse(row %% 5 == 0 | (sex == 2 & row %% 4 == 0), NA, time + 40 * (site %% 5)), group = as.integer(sex == 2), site = factor(site), age))
i <- mice(holes, m = 200, maxit = 1, method = c("pmm", "", "", ""), seed = 7, printFlag = FALSE)
fits <- lapply(complete(i, "all"), function(x) { f <- lm(time ~ group, x); coef_test(f, vcov = "CR2", cluster = x$site)[2, ] })
sites <- numbers(sapply(fits, `[[`, "beta"), sapply(fits, `[[`, "SE")^2, mean(sapply(fits, `[[`, "df_Satt")))
keep("impute.sites", "mice m 200 seed 7: pmm of lung's time (shifted by made-up site) on sex, factor(site), age; clubSandwich CR2 of lm(time ~ group), df of the complete data: mean Satterthwaite", rows = rbind(sites$rows), between = sites$between, m = 200)

# ---- weights for having a value: the equations of ../missing, at once for two means
difference <- function(d, f, patient = seq_len(nrow(d))) {
  d$seen <- !is.na(d$change); y <- ifelse(d$seen, d$change, 0)
  m <- glm(f, binomial, d, control = glm.control(epsilon = 1e-14, maxit = 100)); w <- 1 / fitted(m); mu <- c(); u <- 0
  for (k in 1:2) { r <- d$seen & d$group == c(1, 0)[k]; mu[k] <- weighted.mean(y[r], w[r]); psi <- ifelse(r, w * (y - mu[k]), 0)
    A <- colSums(-(psi * (1 - fitted(m))) * model.matrix(m)); u <- u + c(1, -1)[k] * (psi + (estfun(m) %*% bread(m) / nobs(m)) %*% A) / sum(w[r]) }
  G <- length(unique(patient)); se <- sqrt(G / (G - 1) * sum(rowsum(u, patient)^2)); est <- mu[1] - mu[2]
  c(est, est + c(-1, 1) * qt(0.975, G - 1) * se, 2 * pt(-abs(est / se), G - 1))
}
keep("weight.headache", "glm(seen ~ group + baseline + age + sex + migraine + chronicity, binomial); sandwich::bread and estfun",
     rows = difference(a, seen ~ group + baseline + age + sex + migraine + chronicity))
all <- with(d, data.frame(change, group = arm, baseline, visits))
keep("weight.dropout", "glm(seen ~ group + baseline + visits, binomial); sandwich::bread and estfun, by patient",
     rows = difference(all, seen ~ group + baseline + visits, d$patient))

# ---- times: restricted means by survfit, Cox with Efron ties, cox.zph
z <- qnorm(0.975)
times <- function(id, d, horizon) {
  t <- summary(survfit(Surv(time, event) ~ group, d), rmean = horizon)$table
  est <- t["group=1", "rmean"] - t["group=0", "rmean"]; se <- sqrt(sum(t[, "se(rmean)"]^2))
  c1 <- coxph(Surv(time, event) ~ group, d, control = coxph.control(eps = 1e-12, toler.chol = 1e-13)); c2 <- coxph(Surv(time, event) ~ group + age, d, control = coxph.control(eps = 1e-12, toler.chol = 1e-13))
  hr <- function(m) { s <- summary(m)$coefficients["group", ]; c(exp(s[1] + c(0, -1, 1) * z * s[3]), 2 * pnorm(-abs(s[1] / s[3]))) }
  keep(id, paste("survfit rmean to", horizon, ", 1 - 0; coxph ~ group, ~ group + age; cox.zph of the latter, group"),
       rmst = c(est, est + c(-1, 1) * z * se, 2 * pnorm(-abs(est / se))), cox = hr(c1), adjusted = hr(c2), zph = cox.zph(c2)$table["group", c("chisq", "p")])
}
l <- read.csv("../stats/lung.csv"); v <- read.csv("../stats/veteran.csv")
times("times.lung", with(l, data.frame(time, event = seen == 1, group = as.integer(sex == 2), age)), 730)
times("times.veteran", with(v, data.frame(time, event = status == 1, group = as.integer(trt == 2), age)), 365)
write_json(list(versions = c(list(R = R.version.string), sapply(c("mice", "sandwich", "survival", "MASS", "clubSandwich"), function(p) as.character(packageVersion(p)), simplify = FALSE)), cases = cases),
           "expected.json", auto_unbox = TRUE, digits = 15, pretty = TRUE, na = "string")
