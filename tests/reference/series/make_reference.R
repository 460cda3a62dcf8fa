# Reference values for interrupted time series in therapyeval.stats.
# Run in this folder:  Rscript make_reference.R REAL_DATA_FOLDER     (only results leave that folder, never rows)
# Debian: r-base-core r-cran-jsonlite r-cran-sandwich r-recommended
suppressMessages({ library(jsonlite); library(sandwich); library(nlme) })
real <- commandArgs(TRUE)[1]
cases <- list()
keep <- function(id, call, ...) cases[[id]] <<- list(call = call, values = lapply(list(...), unname))
tight <- glm.control(epsilon = 1e-12, maxit = 100)

# Rows: trend before, change of level, change of slope, then the effect at the stated times; by lm or glm on
# since = t - T0, post = t >= T0. Limits: t with the residual degrees of freedom, or normal (df = Inf).
lines <- function(m, V, df, at, names = c("since", "post", "since:post"), back = identity, level = 0.95) {
  L <- matrix(0, 3 + length(at), length(coef(m)), dimnames = list(NULL, names(coef(m))))
  L[1, names[1]] <- 1; L[2, names[2]] <- 1; L[3, names[3]] <- 1
  for (i in seq_along(at)) { L[3 + i, names[2]] <- 1; L[3 + i, names[3]] <- at[i] }
  est <- c(L %*% coef(m)); se <- sqrt(diag(L %*% V %*% t(L))); q <- qt((1 + level) / 2, df)
  cbind(back(est), back(est - q * se), back(est + q * se), 2 * pt(-abs(est / se), df))
}
nw <- function(m, lag) NeweyWest(m, lag = lag, prewhite = FALSE, adjust = TRUE)
r1 <- function(e) acf(e, plot = FALSE)$acf[2]
phi <- function(m) sum(residuals(m, "pearson")^2) / df.residual(m)

d <- read.csv(file.path(real, "sicily_its/sicily.csv")); d$rate <- d$aces / d$stdpop * 1e5; d$since <- d$time - 37; d$post <- d$smokban
for (k in 1:2) { d[[paste0("s", k)]] <- sin(2 * pi * k * d$time / 12); d[[paste0("c", k)]] <- cos(2 * pi * k * d$time / 12) }
m1 <- lm(rate ~ since * post, d); m2 <- lm(rate ~ since * post + s1 + c1 + s2 + c2, d)
call <- "lm(rate ~ since * post), sandwich::NeweyWest(prewhite = FALSE, adjust = TRUE), t with n - p: trend, level, slope, effect after"
keep("mean.sicily", paste(call, "0, 6, 22 months, lag 3; with two harmonics of 12, lag 3; lag 0 level 0.90; residual acf and sigma^2 of the first"),
     plain = lines(m1, nw(m1, 3), 55, c(0, 6, 22)), season = lines(m2, nw(m2, 3), 51, c(0, 6, 22)),
     lag0 = lines(m1, nw(m1, 0), 55, c(0, 6, 22), level = 0.9), checks = c(sigma(m1)^2, r1(residuals(m1))),
     fitted = fitted(m1)[c(1, 37, 59)], projection = predict(m1, transform(d, post = 0))[c(1, 37, 59)])

ar1 <- function(f, d) gls(f, d, correlation = corAR1(form = ~ since), method = "REML", control = glsControl(tolerance = 1e-12, msTol = 1e-14, opt = "optim", maxIter = 500, msMaxIter = 500))
put_ar1 <- function(id, call, m, at, level = 0.95) keep(id, call, rows = lines(m, vcov(m), m$dims$N - m$dims$p, at, level = level),
  checks = c(sigma(m)^2, coef(m$modelStruct$corStruct, unconstrained = FALSE)))
call1 <- "nlme::gls(y ~ since * post, correlation = corAR1(form = ~ since), method = 'REML'), t with n - p:"
put_ar1("ar1.sicily", paste(call1, "Sicily, 0, 6, 22, level 0.90; sigma^2, phi"), ar1(rate ~ since * post, d), c(0, 6, 22), 0.9)

stroke <- read.csv("../stats/stroke_long.csv"); w <- tapply(stroke$ability, list(stroke$week, stroke$Group), mean)
s <- data.frame(a = w[, "A"], gap = w[, "A"] - w[, "C"], since = 1:8 - 4, post = as.integer(1:8 >= 4))
m3 <- lm(a ~ since * post, s); m4 <- lm(gap ~ since * post, s)
keep("mean.stroke", paste(call, "2 weeks, lag 2: mean ability of group A with T0 = week 4; then A - C (control series)"),
     alone = lines(m3, nw(m3, 2), 4, 2), control = lines(m4, nw(m4, 2), 4, 2))

n <- read.csv(file.path(real, "nhs_talking_therapies/measures_annual_total.csv"), colClasses = "character")
n <- n[n$org_type == "England" & n$measure_statistic == "count" & n$measure_name %in% c("referrals_received", "recovery", "finished_course_treatment", "deterioration"), ]
n <- reshape(n[, c("reporting_period", "measure_name", "value")], idvar = "reporting_period", timevar = "measure_name", direction = "wide")
n <- n[order(n$reporting_period), ]; num <- function(k) as.numeric(n[[paste0("value.", k)]])
y <- data.frame(bad = num("deterioration"), good = num("recovery"), done = num("finished_course_treatment"), since = 1:8 - 4, post = as.integer(1:8 >= 4))
m5 <- lm(100 * good / done ~ since * post, y)
keep("mean.nhs", paste(call, "0, 4 years, lag 1: recovered per 100 finished, England, T0 = 2020-21"), plain = lines(m5, nw(m5, 1), 4, c(0, 4)))

# ---- rates ----------------------------------------------------------------------------------------------------------
g0 <- glm(aces ~ offset(log(stdpop)) + post + time, poisson, d, control = tight)
g1 <- glm(aces ~ offset(log(stdpop)) + since * post, quasipoisson, d, control = tight); g1 <- update(g1, start = coef(g1))
g2 <- glm(aces ~ offset(log(stdpop)) + since * post + s1 + c1 + s2 + c2, quasipoisson, d, control = tight); g2 <- update(g2, start = coef(g2))
V0 <- vcov(update(g0, start = coef(g0)))
level_only <- function(m, V, df) { e <- coef(m)["post"]; se <- sqrt(V["post", "post"]); q <- qt(0.975, df); c(exp(e + c(0, -q, q) * se), 2 * pt(-abs(e / se), df)) }
V2 <- vcov(g2); call <- "glm(events ~ offset(log(exposure)) + since * post), exponentials;"
keep("rate.sicily", paste(call, "poisson, level only, normal; quasipoisson, t with n - p: at 0, 6, 22; with two harmonics; NeweyWest lag 3; dispersion, acf of Pearson residuals"),
     level_only = level_only(g0, V0, Inf), quasi = lines(g1, vcov(g1), 55, c(0, 6, 22), back = exp),
     poisson = lines(g1, vcov(g1) / phi(g1), Inf, c(0, 6, 22), back = exp, level = 0.9),
     season = lines(g2, V2, 51, c(0, 6, 22), back = exp), newey = lines(g1, nw(g1, 3), 55, c(0, 6, 22), back = exp),
     checks = c(phi(g1), r1(residuals(g1, "pearson"))), projection = exp(coef(g1)[1] + coef(g1)["since"] * d$since[c(1, 37, 59)]))
g3 <- glm(bad ~ offset(log(done)) + since * post, quasipoisson, y, control = tight); g3 <- update(g3, start = coef(g3))
b <- rbind(data.frame(e = y$bad, n = y$done, y[, c("since", "post")], own = 1), data.frame(e = y$good, n = y$done, y[, c("since", "post")], own = 0))
g4 <- glm(e ~ offset(log(n)) + since * post * own, quasipoisson, b, control = tight); g4 <- update(g4, start = coef(g4))
keep("rate.nhs", paste(call, "quasipoisson: deteriorated per finished, England, T0 = 2020-21, at 4; with recovered per finished as control, both series in one model, interactions with series"),
     quasi = lines(g3, vcov(g3), 4, 4, back = exp),
     control = lines(g4, vcov(g4), 8, 4, c("since:own", "post:own", "since:post:own"), exp))
influence_of <- function(m) ((m$y - fitted(m)) * model.matrix(m)) %*% summary(m)$cov.unscaled
nw2 <- function(psi, lag) {                               # Newey-West (1987) of influences: of one fit, or of the difference of two
  V <- crossprod(psi); n <- nrow(psi)
  for (l in seq_len(lag)) { C <- crossprod(psi[-(1:l), ], psi[1:(n - l), ]); V <- V + (1 - l / (lag + 1)) * (C + t(C)) }
  V * n / (n - ncol(psi))
}
m <- read.csv("../spc/monthly.csv"); m$since <- seq_len(nrow(m)) - 13; m$post <- as.integer(m$since >= 0)
g5 <- glm(noshow ~ offset(log(scheduled)) + since * post, quasipoisson, m, control = tight); g5 <- update(g5, start = coef(g5))
keep("rate.monthly", paste(call, "noshow of scheduled (made up), T0 = month 13, at 6: quasipoisson; NeweyWest lag 2"),
     quasi = lines(g5, vcov(g5), nrow(m) - 4, 6, back = exp), newey = lines(g5, nw(g5, 2), nrow(m) - 4, 6, back = exp))
g6 <- glm(falls ~ offset(log(visits)) + since * post, quasipoisson, m, control = tight); g6 <- update(g6, start = coef(g6))
both <- g5; both$coefficients <- coef(g5) - coef(g6)
stopifnot(all.equal(nw2(influence_of(g5), 2), nw(g5, 2), tolerance = 1e-8))
keep("rate.monthly_control", paste(call, "noshow of scheduled against falls of visits as control; Newey-West lag 2 of the difference of influences by hand"),
     newey = lines(both, nw2(influence_of(g5) - influence_of(g6), 2), nrow(m) - 4, 6, back = exp))
m$late <- m$wait + 2 * sin(m$since / 3)
put_ar1("ar1.monthly", paste(call1, "wait + 2 sin(since / 3) of made-up months, T0 = month 13, at 6"), ar1(late ~ since * post, m), 6)

# ---- a level for each time of the season ---------------------------------------------------------------------------
d$month <- factor(d$time %% 12); m$month <- factor(seq_len(nrow(m)) %% 6)
m10 <- lm(rate ~ since * post + month, d); g10 <- glm(aces ~ offset(log(stdpop)) + since * post + month, quasipoisson, d, control = tight); g10 <- update(g10, start = coef(g10))
keep("season.sicily", "lm, glm(quasipoisson), rate or events ~ since * post + factor(time %% 12): NeweyWest lag 3; gls(corAR1); quasipoisson; at 0, 6, 22",
     newey = lines(m10, nw(m10, 3), m10$df.residual, c(0, 6, 22)), ar1 = { a <- ar1(rate ~ since * post + month, d); lines(a, vcov(a), a$dims$N - a$dims$p, c(0, 6, 22)) },
     quasi = lines(g10, vcov(g10), g10$df.residual, c(0, 6, 22), back = exp))
m11 <- lm(wait ~ since * post + month, m); g11 <- glm(noshow ~ offset(log(scheduled)) + since * post + month, quasipoisson, m, control = tight); g11 <- update(g11, start = coef(g11))
keep("season.monthly", "the same with factor(time %% 6) of made-up months, T0 = month 13, at 6: NeweyWest lag 2 of wait; quasipoisson of noshow, level 0.90",
     newey = lines(m11, nw(m11, 2), m11$df.residual, 6), quasi = lines(g11, vcov(g11), g11$df.residual, 6, back = exp, level = 0.9))

# ---- the docstrings' numbers ----------------------------------------------------------------------------------------
t <- 0:23; e <- data.frame(y = 20 - 0.2 * t + (t >= 12) * (-3 - 0.1 * (t - 12)) + rep(c(0.3, -0.4, 0.2, -0.1), 6), since = t - 12, post = as.integer(t >= 12))
f <- data.frame(y = c(20, 22, 19, 21, 20, 18, 12, 14, 11, 13, 12, 10), since = -6:5, post = rep(0:1, each = 6))
me <- lm(y ~ since * post, e); mf <- glm(y ~ offset(log(rep(100, 12))) + since + post, quasipoisson, f, control = tight)
keep("docstrings", "as named", mean = lines(me, nw(me, 2), 20, 6), rate = level_only(mf, vcov(mf), 9))

versions <- c(R = paste(R.version$major, R.version$minor, sep = "."), 
              sapply(c("sandwich", "nlme"), function(p) as.character(packageVersion(p))))
write_json(list(versions = as.list(versions), cases = cases), "expected.json", digits = NA, auto_unbox = TRUE,
           na = "string", pretty = TRUE, matrix = "rowmajor")
