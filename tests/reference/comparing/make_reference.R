# Reference values for missing= and for times in therapyeval.analysis.compare.
# Run in this folder:  Rscript make_reference.R REAL_DATA_FOLDER     (only results leave that folder, never rows)
# Debian: r-base-core r-recommended r-cran-jsonlite -mice -sandwich -survival
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
write_json(list(versions = c(list(R = R.version.string), sapply(c("mice", "sandwich", "survival"), function(p) as.character(packageVersion(p)), simplify = FALSE)), cases = cases),
           "expected.json", auto_unbox = TRUE, digits = 15, pretty = TRUE, na = "string")
