# Reference values for propensity weights, matching, AIPW, balance and E-values in therapyeval.stats.
# Run in this folder:  Rscript make_reference.R REAL_DATA_FOLDER     (only results leave that folder, never rows)
# Debian: r-base-core r-recommended r-cran-jsonlite -matchit -sandwich -lmtest -survey -numderiv
suppressMessages({ library(jsonlite); library(MatchIt); library(sandwich); library(lmtest); library(survey); library(numDeriv) })
real <- commandArgs(TRUE)[1]
cases <- list()
keep <- function(id, call, ...) cases[[id]] <<- list(call = call, values = lapply(list(...), unname))
rows <- function(l) do.call(rbind, l)
tight <- glm.control(epsilon = 1e-14, maxit = 100)
wald <- function(est, se, level = 0.95) c(est, est + c(-1, 1) * qnorm((1 + level) / 2) * se, 2 * pnorm(-abs(est / se)))

a <- read.csv(file.path(real, "acupuncture_headache/acupuncture.csv"), fileEncoding = "UTF-8-BOM"); a <- a[!is.na(a$pk5), ]
a$z <- a$group; a$y <- a$pk5; a$good <- as.integer(a$pk5 <= 0.65 * a$pk1)
p <- read.csv(file.path(real, "pedalfast_tbi/pedalfast.csv")); p <- p[!is.na(p$gcsicu), ]
p$y <- p$hosplos; p$good <- as.integer(p$hosplos <= 7)
fall <- transform(p[p$injurymech %in% c("Traffic", "Fall"), ], z = as.integer(injurymech == "Traffic"))
abuse <- transform(p[p$injurymech %in% c("Traffic", "Known or suspected abuse"), ], z = as.integer(injurymech == "Traffic"))
v <- read.csv("../stats/veteran.csv"); v$z <- v$trt - 1; v$y <- v$time; v$good <- as.integer(v$time > 100)
s <- read.csv("../stats/stroke.csv"); s$y <- s$week8 - s$week1
fa <- z ~ pk1 + age + sex + migraine + chronicity; fp <- z ~ age + female + gcsicu; fv <- z ~ karno + age + celltype

# ---- weights: ten lines from Lunceford and Davidian (2004) and Stefanski and Boos (2002). No WeightIt, PSweight or geex in
# Debian. One stacked estimating function of all parameters; its derivative by numDeriv, so that no algebra is shared.
stacked <- function(psi, theta) {                       # psi(theta): n x parameters, summing to 0 at the estimate
  A <- jacobian(function(t) colSums(psi(t)), theta, method = "Richardson"); B <- crossprod(psi(theta))
  stopifnot(max(abs(colSums(psi(theta))) / sqrt(diag(B))) < 1e-7)
  solve(A) %*% B %*% t(solve(A))
}
w_of <- function(e, z, estimand) switch(estimand, ATE = z / e + (1 - z) / (1 - e), ATT = z + (1 - z) * e / (1 - e),
                                        overlap = z * (1 - e) + (1 - z) * e)
centered <- function(f, d) { x <- model.matrix(f, d); x[, -1] <- scale(x[, -1]); x }      # scaled: the derivative is numeric
weighted <- function(f, d, y, estimand, level = 0.95) {
  z <- d$z; x <- centered(f, d); k <- ncol(x); g <- glm(z ~ 0 + x, family = binomial, control = tight)
  w <- w_of(fitted(g), z, estimand); m1 <- weighted.mean(y[z == 1], w[z == 1]); m0 <- weighted.mean(y[z == 0], w[z == 0])
  psi <- function(t) { e <- plogis(x %*% t[1:k])[, 1]; w <- w_of(e, z, estimand)
    cbind(x * (z - e), w * z * (y - t[k + 1]), w * (1 - z) * (y - t[k + 2])) }
  V <- stacked(psi, c(coef(g), m1, m0)); L <- c(rep(0, k), 1, -1); se <- sqrt(c(L %*% V %*% L))
  d$y <- y; d$w <- w; fixed <- svyglm(y ~ z, svydesign(~1, weights = ~w, data = d))      # takes the weights as known
  stopifnot(abs(coef(fixed)[2] - (m1 - m0)) < 1e-8 * max(1, abs(m1 - m0)))
  ratio <- se / SE(fixed)[2]; cat(estimand, "SE stacked / svyglm:", ratio, "\n"); stopifnot(ratio > 0.5, ratio < 1.2)
  wald(m1 - m0, se, level)
}
three <- function(f, d, y, level = 0.95) rows(lapply(c("ATE", "ATT", "overlap"), function(e) weighted(f, d, y, e, level)))
call <- "glm(binomial); normalized weights ATE, ATT, overlap; stacked estimating equations with numDeriv (by hand); survey::svyglm agrees on the estimate"
keep("weights.headache", paste(call, "pk5 ~ group"), rows = three(fa, a, a$y))
keep("weights.headache_share", paste(call, "pk5 <= 0.65 pk1, level 0.90"), rows = three(fa, a, a$good, 0.9))
keep("weights.traffic_fall", paste(call, "hosplos, Traffic - Fall"), rows = three(fp, fall, fall$y))
keep("weights.traffic_abuse", paste(call, "hosplos, Traffic - abuse"), rows = three(fp, abuse, abuse$y))
keep("weights.veteran", paste(call, "time, trt 2 - 1"), rows = three(fv, v, v$y))
keep("weights.plain", "no covariate: difference of means, variances with n", rows = { m <- tapply(v$y, v$z, mean)
  q <- tapply(v$y, v$z, function(y) mean((y - mean(y))^2) / length(y)); matrix(wald(m[2] - m[1], sqrt(sum(q))), 1) })
pair <- function(one, two) transform(s[s$Group %in% c(one, two), ], z = as.integer(Group == one))
keep("weights.stroke", paste(call, "ATE, gain ~ Group with week1: A - C, B - C"),
     rows = rows(list(weighted(z ~ week1, pair("A", "C"), pair("A", "C")$y, "ATE"), weighted(z ~ week1, pair("B", "C"), pair("B", "C")$y, "ATE"))))

# ---- AIPW: from Lunceford and Davidian (2004), formula 9; all nuisance models stacked; the plain influence function as a check
aipw <- function(f, d, y, share = FALSE, level = 0.95) {
  z <- d$z; x <- centered(f, d); k <- ncol(x); link <- if (share) plogis else identity
  fam <- if (share) binomial() else gaussian(); g <- glm(z ~ 0 + x, family = binomial, control = tight)
  b1 <- coef(glm(y ~ 0 + x, fam, subset = z == 1, control = tight)); b0 <- coef(glm(y ~ 0 + x, fam, subset = z == 0, control = tight))
  phi <- function(t) { e <- plogis(x %*% t[1:k])[, 1]; m1 <- link(x %*% t[k + 1:k])[, 1]; m0 <- link(x %*% t[2 * k + 1:k])[, 1]
    m1 - m0 + z * (y - m1) / e - (1 - z) * (y - m0) / (1 - e) }
  psi <- function(t) { e <- plogis(x %*% t[1:k])[, 1]
    cbind(x * (z - e), x * z * (y - link(x %*% t[k + 1:k])[, 1]), x * (1 - z) * (y - link(x %*% t[2 * k + 1:k])[, 1]), phi(t) - t[3 * k + 1]) }
  t0 <- c(coef(g), b1, b0); est <- mean(phi(t0)); V <- stacked(psi, c(t0, est)); se <- sqrt(V[3 * k + 1, 3 * k + 1])
  cat("AIPW SE stacked / plain:", se / (sd(phi(t0)) / sqrt(nrow(d))), "\n")
  wald(est, se, level)
}
call <- "glm(binomial), lm or glm within groups, AIPW; stacked estimating equations with numDeriv (by hand)"
keep("aipw.headache", paste(call, "pk5; pk5 <= 0.65 pk1 with logistic outcome models"), rows = rows(list(aipw(fa, a, a$y), aipw(fa, a, a$good, TRUE))))
keep("aipw.traffic_fall", paste(call, "hosplos; hosplos <= 7, level 0.90"), rows = rows(list(aipw(fp, fall, fall$y, level = 0.9), aipw(fp, fall, fall$good, TRUE, 0.9))))
keep("aipw.veteran", paste(call, "time; time > 100"), rows = rows(list(aipw(fv, v, v$y), aipw(fv, v, v$good, TRUE))))

# ---- matching -----------------------------------------------------------------------------------------------------------
# MatchIt 4.5.1, given a vector of distances, ignores the caliper and does not find the nearest (its pairs lie farther apart than
# need be: printed below); given a matrix it does both right. So rows go in sorted by the logit, highest first, with the matrix, and
# a plain replay of the greedy choice must give the same pairs.
matched <- function(f, d, replace, caliper = 0.2, level = 0.95) {
  g <- glm(f, binomial, d, control = tight); logit <- predict(g); stopifnot(!anyDuplicated(round(logit, 8)))      # no ties, whose order
  original <- order(-logit); d <- d[original, ]; logit <- unname(logit[original]); rownames(d) <- seq_len(nrow(d))   # is each program's own
  D <- abs(outer(logit, logit, "-")); dimnames(D) <- list(rownames(d), rownames(d)); w <- caliper * sd(logit)
  fit <- function(distance, ...) suppressWarnings(matchit(f, d, method = "nearest", distance = distance, replace = replace, ...))
  of <- function(m) data.frame(i = as.integer(rownames(m$match.matrix)), j = as.integer(m$match.matrix[, 1]))
  m <- fit(D, m.order = "data", caliper = w, std.caliper = FALSE); stopifnot(max(abs(logit[of(m)$i] - logit[of(m)$j]), na.rm = TRUE) <= w)
  vector <- of(fit("glm", link = "linear.logit", m.order = "largest", caliper = caliper))
  cat("farthest pair in calipers, vector and matrix way:", sapply(list(vector, of(m)), function(k) max(abs(logit[k$i] - logit[k$j]), na.rm = TRUE) / w), "\n")
  free <- which(d$z == 0); replay <- sapply(which(d$z == 1), function(i) { k <- which.min(D[i, free])
    if (!length(k) || D[i, free[k]] > w) return(NA); j <- free[k]; if (!replace) free <<- setdiff(free, j); j })
  stopifnot(identical(as.integer(replay), of(m)$j))
  pairs <- na.omit(of(m))
  n <- nrow(pairs); g <- data.frame(y = d$y[c(pairs$i, pairs$j)], z = rep(1:0, each = n), pair = rep(1:n, 2), unit = c(pairs$i, pairs$j))
  fit <- lm(y ~ z, g); V <- vcovCL(fit, if (replace) g[c("pair", "unit")] else g["pair"], type = "HC0", cadjust = TRUE)
  df <- length(unique(pairs$j)) - 1; ci <- coefci(fit, "z", level, vcov. = V, df = df); ct <- coeftest(fit, vcov. = V, df = df)
  if (!replace) { t <- t.test(d$y[pairs$i], d$y[pairs$j], paired = TRUE, conf.level = level); stopifnot(abs(t$conf.int - ci) < 1e-8 * max(abs(ci))) }
  b <- summary(m, standardize = FALSE)$sum.matched; keep_names <- setdiff(rownames(b), "distance"); i <- original[pairs$i]; j <- original[pairs$j]
  list(row = c(ct["z", 1], ci, ct["z", 4], df), checksum = c(n, sum(d$z) - n, sum(i * j), w),
       means = b[keep_names, c("Means Treated", "Means Control")], ratios = b[keep_names, "Var. Ratio"])
}
both <- function(id, call, f, d, ...) { one <- matched(f, d, FALSE, ...); two <- matched(f, d, TRUE, ...)
  keep(id, call, rows = rows(list(one$row, two$row)), checksum = rows(list(one$checksum, two$checksum)), means = one$means, ratios = one$ratios) }
call <- "MatchIt::matchit(nearest, rows from the highest logit down, matrix of distances of logits, caliper = 0.2 SD) without, with replacement; lm, sandwich::vcovCL(HC0); checksum: pairs, unmatched, sum of i*j, caliper"
both("match.headache", paste(call, "pk5"), fa, a)
both("match.traffic_fall", paste(call, "hosplos, Traffic - Fall, level 0.90, caliper 0.05"), fp, fall, caliper = 0.05, level = 0.9)
f2 <- z ~ karno + I(age + seq_along(age) / 1000) + celltype; environment(f2) <- globalenv()
both("match.veteran", paste(call, "time; age + row / 1000 so that no scores tie"), f2, v, caliper = 0.1)

# ---- balance: base R from Austin and Stuart (2015); no cobalt in Debian ---------------------------------------------------
balance <- function(x, z, w) t(sapply(as.data.frame(x), function(c) {
  pool <- sqrt((var(c[z == 1]) + var(c[z == 0])) / 2); v <- function(k, w) cov.wt(matrix(c[z == k]), w[z == k])$cov[1]
  one <- rep(1, length(z)); two <- length(unique(c)) < 3
  c(sapply(list(one, w), function(w) (weighted.mean(c[z == 1], w[z == 1]) - weighted.mean(c[z == 0], w[z == 0])) / pool),
    if (two) c(NA, NA) else sapply(list(one, w), function(w) v(1, w) / v(0, w))) }))
checks <- function(f, d, estimand) { e <- fitted(glm(f, binomial, d, control = tight)); w <- w_of(e, d$z, estimand); rows(lapply(1:0, function(k) {
  ek <- e[d$z == k]; wk <- w[d$z == k]; c(length(wk), sum(wk)^2 / sum(wk^2), range(ek), mean(ek < 0.05 | ek > 0.95), mean(wk > 10 * mean(wk)), max(wk) / sum(wk)) })) }
w <- w_of(fitted(glm(fa, binomial, a, control = tight)), a$z, "ATE")
keep("balance.headache", "weighted.mean, sd, cov.wt(unbiased); ATE weights of pk1 + age + sex + migraine + chronicity; and f1, not in the score",
     rows = balance(a[c("pk1", "age", "sex", "f1")], a$z, w))
w <- w_of(fitted(glm(fv, binomial, v, control = tight)), v$z, "ATT")
keep("balance.veteran", "the same, ATT: karno, age, celltype adeno, large, smallcell, squamous",
     rows = balance(cbind(v[c("karno", "age")], sapply(sort(unique(v$celltype)), function(l) as.numeric(v$celltype == l))), v$z, w))
keep("overlap", "n, effective size, range of scores, share outside 0.05-0.95, share of weights above 10 means, largest share; by arm 1, 0",
     veteran = checks(fv, v, "ATE"), abuse = checks(fp, abuse, "ATE"), abuse_att = checks(fp, abuse, "ATT"))

# ---- E-values: no EValue in Debian; the formula, and printed values of VanderWeele and Ding (2017): 3.9 (1.8, 8.7) -> 7.26, 3.0 ----
ev <- function(rr) { rr <- pmax(rr, 1 / rr); rr + sqrt(rr * (rr - 1)) }
keep("evalue", "RR + sqrt(RR (RR - 1)); exp(0.91 d)", ratio = ev(c(3.9, 1.8, 0.5, 0.8)), difference = ev(exp(0.91 * c(0.5, 0.1) / 1)))

# ---- the docstrings' numbers ----------------------------------------------------------------------------------------------
d <- data.frame(z = c(1, 1, 0, 1, 0, 0), age = c(50, 61, 58, 40, 66, 49))
e <- data.frame(y = c(20, 25, 27, 22, 20, 26, 20, 23), z = rep(1:0, each = 4), baseline = c(10, 12, 14, 11, 13, 16, 12, 15))
ge <- glm(z ~ baseline, binomial, e, control = tight); we <- w_of(fitted(ge), e$z, "overlap")
b <- function(k) predict(lm(y ~ baseline, e[e$z == k, ]), e); pe <- fitted(ge)
keep("docstrings", "as named", score = fitted(glm(z ~ age, binomial, d, control = tight)),
     overlap = weighted.mean(e$y[1:4], we[1:4]) - weighted.mean(e$y[5:8], we[5:8]),
     aipw = mean(b(1) - b(0) + e$z * (e$y - b(1)) / pe - (1 - e$z) * (e$y - b(0)) / (1 - pe)))

versions <- c(R = paste(R.version$major, R.version$minor, sep = "."),
              sapply(c("MatchIt", "sandwich", "lmtest", "survey", "numDeriv"), function(p) as.character(packageVersion(p))))
write_json(list(versions = as.list(versions), cases = cases), "expected.json", digits = NA, auto_unbox = TRUE,
           na = "string", pretty = TRUE, matrix = "rowmajor")
