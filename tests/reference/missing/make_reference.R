# Reference values for therapyeval.stats.completion_weighted. Run in this folder:  Rscript make_reference.R
# Debian: r-base-core r-recommended r-cran-jsonlite -sandwich
suppressMessages({ library(jsonlite); library(sandwich); library(boot) })
set.seed(20260101)
n <- 240
d <- data.frame(patient = rep(1:200, length.out = n), arm = rep(0:1, n / 2), baseline = round(rnorm(n, 40, 12), 1),
                visits = 1 + rpois(n, 6))
d$seen <- rbinom(n, 1, plogis(-0.6 + 0.25 * d$visits - 0.01 * d$baseline + 0.3 * d$arm))
d$change <- ifelse(d$seen == 1, round(4 + 0.6 * d$visits - 0.1 * d$baseline + 3 * d$arm + rnorm(n, 0, 8), 1), NA)
d$good <- as.integer(d$change >= 6)
write.csv(d, "dropout.csv", row.names = FALSE, quote = FALSE, na = "")

# Weighted mean by glm weights; variance of the stacked equations from sandwich's own bread and estfun.
weighted <- function(y, rows, logit = FALSE, level = 0.95) {
  m <- glm(seen ~ baseline + visits, binomial, d, control = glm.control(epsilon = 1e-14, maxit = 100))
  w <- 1 / fitted(m); inside <- seq_len(n) %in% rows; r <- d$seen == 1 & inside
  mu <- weighted.mean(y[r], w[r]); psi <- ifelse(r, w * (y - mu), 0); psi[!r] <- 0
  A <- colSums(-(psi * (1 - fitted(m))) * model.matrix(m))              # derivative of the sum by the coefficients
  beta <- estfun(m) %*% bread(m) / nobs(m)                              # each unit's influence on the coefficients
  u <- rowsum((psi + beta %*% A) / sum(w[r]), d$patient)
  G <- length(unique(d$patient[inside])); se <- sqrt(G / (G - 1) * sum(u^2))
  half <- qt((1 + level) / 2, G - 1) * se
  if (logit) { h <- half / (mu * (1 - mu)); return(c(mu, plogis(qlogis(mu) - h), plogis(qlogis(mu) + h), se)) }
  c(mu, mu - half, mu + half, se)
}
boot_se <- function(y, rows) {                                          # patients drawn anew, weights fitted anew
  by <- split(seq_len(n), d$patient)
  sd(replicate(4000, { i <- unlist(by[sample(length(by), replace = TRUE)]); e <- d[i, ]
    w <- 1 / fitted(glm(seen ~ baseline + visits, binomial, e)); r <- e$seen == 1 & i %in% rows; weighted.mean(y[i][r], w[r]) }))
}
all <- seq_len(n); one <- which(d$arm == 1); zero <- which(d$arm == 0)
cases <- list()
keep <- function(id, call, rows) cases[[id]] <<- list(call = call, values = list(rows = rows))
call <- "glm(seen ~ baseline + visits, binomial), weighted.mean(w = 1 / fitted); sandwich::bread and estfun, by patient"
means <- list(weighted(d$change, all), weighted(d$change, zero), weighted(d$change, one, level = 0.90))
keep("mean.all", call, means[[1]][1:3]); keep("mean.arm0", call, means[[2]][1:3]); keep("mean.arm1", paste(call, "level 0.90"), means[[3]][1:3])
keep("share.all", paste(call, "limits on the logit scale"), weighted(d$good, all, TRUE)[1:3])
difference <- function(y, one, two, f, level = 0.95) {                    # the same equations for two means at once
  m <- glm(f, binomial, d, control = glm.control(epsilon = 1e-14, maxit = 100)); w <- 1 / fitted(m); mu <- c(); u <- 0
  for (k in 1:2) { inside <- seq_len(n) %in% list(one, two)[[k]]; r <- d$seen == 1 & inside; mu[k] <- weighted.mean(y[r], w[r])
    psi <- ifelse(r, w * (y - mu[k]), 0); psi[!r] <- 0; A <- colSums(-(psi * (1 - fitted(m))) * model.matrix(m))
    u <- u + c(1, -1)[k] * (psi + (estfun(m) %*% bread(m) / nobs(m)) %*% A) / sum(w[r]) }
  G <- length(unique(d$patient[c(one, two)])); se <- sqrt(G / (G - 1) * sum(rowsum(u, d$patient)^2)); est <- mu[1] - mu[2]
  c(est, est + c(-1, 1) * qt((1 + level) / 2, G - 1) * se, 2 * pt(-abs(est / se), G - 1), G - 1)
}
keep("difference.mean", paste(call, "arm 1 - 0"), difference(d$change, one, zero, seen ~ baseline + visits))
keep("difference.share", paste(call, "arm 1 - 0, arm in the model too, level 0.90"), difference(d$good, one, zero, seen ~ baseline + visits + arm, 0.90))
stopifnot(abs(boot_se(d$change, all) / means[[1]][4] - 1) < 0.06, abs(boot_se(d$change, one) / means[[3]][4] - 1) < 0.06)
write_json(list(versions = c(R = R.version.string, sandwich = as.character(packageVersion("sandwich"))), cases = cases),
           "expected.json", auto_unbox = TRUE, digits = 15, pretty = TRUE, na = "string")
