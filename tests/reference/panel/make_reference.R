# Reference values for difference-in-differences in therapyeval.stats.
# Run in this folder:  Rscript make_reference.R REAL_DATA_FOLDER     (only results leave that folder, never rows)
# Debian: r-base-core r-cran-jsonlite r-cran-clubsandwich r-cran-lmertest
suppressMessages({ library(jsonlite); library(clubSandwich); library(lmerTest) })
real <- commandArgs(TRUE)[1]
cases <- list()
keep <- function(id, call, ...) cases[[id]] <<- list(call = call, values = lapply(list(...), unname))

# ---- input: stroke patients by week; providers of talking therapies by year; made-up clinics with several patients --
stroke <- read.csv("../stats/stroke_long.csv")
s <- data.frame(site = stroke$Subject, period = stroke$week, y = stroke$ability, start = ifelse(stroke$Group == "A", 4, NA),
                steps = c(B = NA, C = 3, A = 5)[stroke$Group])                          # starts made up
n <- read.csv(file.path(real, "nhs_talking_therapies/measures_annual_total.csv"), colClasses = "character")
n <- n[n$org_type == "Provider" & n$measure_name == "recovery" & n$measure_statistic == "percentage", ]
n$y <- suppressWarnings(as.numeric(n$value)); n <- n[!is.na(n$y), ]
n$period <- as.numeric(substr(n$reporting_period, 1, 4))
n <- n[ave(n$period, n$org_code, FUN = function(p) if (anyDuplicated(p)) 0 else length(p)) == 8, ]; n <- n[order(n$org_code, n$period), ]
n$site <- as.integer(factor(n$org_code)); n$start <- c(NA, 2020, 2022, 2021)[n$site %% 4 + 1]   # starts made up
n$first <- ifelse(n$site %% 4 == 1, 2020, NA)
set.seed(20261122)
k <- expand.grid(patient = 1:3, period = 1:5, site = 1:7); k <- k[runif(nrow(k)) < 0.8, ]
k$start <- ifelse(k$site <= 3, 4, NA); k$age <- round(rnorm(nrow(k), 60, 9))
k$y <- round(50 + rnorm(7, 0, 4)[k$site] + 2 * k$period + 3 * (!is.na(k$start) & k$period >= 4) - 0.1 * k$age + rnorm(nrow(k), 0, 5), 1)
write.csv(k, "clinics.csv", row.names = FALSE, quote = FALSE)

# ---- two-way fixed effects, event study -----------------------------------------------------------------------------
did <- function(d, covs = NULL, level = 0.95) {
  d$treated <- as.integer(!is.na(d$start) & d$period >= d$start)
  m <- lm(reformulate(c("factor(site)", "factor(period)", covs, "treated"), "y"), d); i <- length(coef(m))
  t <- coef_test(m, vcov = "CR2", cluster = d$site, test = "Satterthwaite", coefs = "treated")
  c(t$beta, t$beta + c(-1, 1) * qt((1 + level) / 2, t$df_Satt) * t$SE, t$p_Satt, t$df_Satt)
}
event <- function(d) {                                    # all periods but the last before the start; pre-trend by HTZ
  start <- min(d$start, na.rm = TRUE); p <- sort(unique(d$period)); p <- p[p != max(p[p < start])]
  for (q in p) d[[paste0("e", q)]] <- as.integer(!is.na(d$start) & d$period == q)
  names <- paste0("e", p); m <- lm(reformulate(c("factor(site)", "factor(period)", names), "y"), d)
  t <- coef_test(m, vcov = "CR2", cluster = d$site, test = "Satterthwaite", coefs = names); w <- qt(0.975, t$df_Satt) * t$SE
  j <- Wald_test(m, constrain_zero(names[p < start], coefs = coef(m)), vcov = "CR2", cluster = d$site, test = "HTZ")
  list(rows = cbind(p, t$beta, t$beta - w, t$beta + w, t$p_Satt, t$df_Satt), pre = c(j$Fstat, j$df_num, j$df_denom, j$p_val))
}
put <- function(id, call, l) keep(id, call, rows = l$rows, pre = l$pre)
call <- "lm(y ~ factor(site) + factor(period) + treated), clubSandwich CR2, Satterthwaite;"
nhs1 <- n[n$site %% 4 < 2, ]; nhs1$start <- nhs1$first
keep("did.stroke", paste(call, "patients as sites, group A from week 4"), rows = rbind(did(s)))
keep("did.nhs", paste(call, "recovery %, providers with one value in each of 8 years; starts made up (2020 for every other of the providers taken), level 0.90"), rows = rbind(did(nhs1, level = 0.9)))
keep("did.clinics", paste(call, "patients of 7 made-up clinics, start 4; then with age"), rows = rbind(did(k), did(k, "age")))
# ---- wild cluster bootstrap: every pattern of signs, each fitted by least squares (Cameron, Gelbach and Miller 2008, null imposed),
# ---- as in clustered/make_reference.R; no fwildclusterboot in Debian
wild <- function(d, covs = NULL, level = 0.95) {
  d$treated <- as.integer(!is.na(d$start) & d$period >= d$start); f <- reformulate(c("factor(site)", "factor(period)", covs, "treated"), "y")
  X <- model.matrix(f, d); y <- d$y; L <- as.numeric(colnames(X) == "treated"); C <- solve(crossprod(X))
  g <- as.integer(factor(d$site)); signs <- as.matrix(expand.grid(rep(list(c(1, -1)), max(g)))); W <- t(signs[, g]); v <- c(X %*% C %*% L)
  statistic <- function(Y, r) { beta <- C %*% crossprod(X, Y); (c(L %*% beta) - r) / sqrt(colSums(rowsum(v * (Y - X %*% beta), g)^2)) }
  beta <- C %*% crossprod(X, y); e <- c(L %*% beta); s <- abs(e / statistic(cbind(y), 0))
  p <- function(r) { null <- c(X %*% (beta - C %*% L * (e - r) / c(L %*% C %*% L)))
    mean(abs(statistic(null + (y - null) * W, r)) >= abs(statistic(cbind(y), r)) * (1 - 1e-9)) }
  limit <- function(side) { inside <- 0; outside <- 2; while (p(e + side * outside * s) > 1 - level) { inside <- outside; outside <- 2 * outside }
    for (k in 1:45) { middle <- (inside + outside) / 2; if (p(e + side * middle * s) <= 1 - level) outside <- middle else inside <- middle }; e + side * inside * s }
  c(e, limit(-1), limit(1), p(0))
}
call <- "own function, every pattern of signs: y ~ factor(site) + factor(period) + treated by site;"
keep("wild.stroke", paste(call, "patients 1-5 of group A (from week 4) and 9-13 of B as sites"), rows = wild(s[s$site %in% c(1:5, 9:13), ]))
keep("wild.nhs", paste(call, "recovery %, the first ten of the providers of did.nhs, level 0.90"), rows = wild(nhs1[nhs1$site %in% sort(unique(nhs1$site))[1:10], ], level = 0.9))
keep("wild.clinics", paste(call, "patients of 7 made-up clinics, with age"), rows = wild(k, "age"))
w <- data.frame(site = rep(1:8, each = 2), period = rep(1:2, 8), y = c(78, 86, 79, 86, 80, 82, 81, 84, 77, 85, 83, 87, 79, 80, 82, 82), start = rep(c(2, 2, NA, NA, 2, 2, NA, NA), each = 2))
keep("example.wild", "own function", rows = wild(w))
call <- "lm(y ~ factor(site) + factor(period) + group x period), CR2: period, effect, limits, p, df; clubSandwich::Wald_test(HTZ) of the periods before;"
put("event.stroke", paste(call, "stroke"), event(s)); put("event.nhs", paste(call, "nhs"), event(nhs1)); put("event.clinics", paste(call, "clinics"), event(k))

# ---- group-time effects: ten lines from Callaway and Sant'Anna (2021), no `did` in Debian ---------------------------
cs <- function(d, control) {
  Y <- tapply(d$y, list(d$site, d$period), mean); p <- as.numeric(colnames(Y)); G <- tapply(d$start, d$site, function(v) v[1]); N <- nrow(Y)
  G[is.na(G)] <- Inf; cells <- NULL; IF <- NULL
  for (g in sort(unique(G[is.finite(G)]))) for (t in p[p != max(p[p < g])]) {
    base <- max(p[p < g]); D <- Y[, p == t] - Y[, p == base]; one <- G == g
    zero <- if (control == "never") is.infinite(G) else G > max(t, base) & G != g
    if (!any(zero)) next
    psi <- one * (D - mean(D[one])) * N / sum(one) - zero * (D - mean(D[zero])) * N / sum(zero)
    cells <- rbind(cells, c(g, t, mean(D[one]) - mean(D[zero]), sum(one) / N)); IF <- cbind(IF, psi)
  }
  line <- function(est, psi) { se <- sqrt(mean(psi^2) / N); c(est, est + c(-1, 1) * qnorm(0.975) * se, 2 * pnorm(-abs(est / se))) }
  average <- function(use) { w <- cells[use, 4]; att <- cells[use, 3]
    d <- sapply(which(use), function(i) (G == cells[i, 1]) - cells[i, 4]); wif <- d / sum(w) - rowSums(d) %o% (w / sum(w)^2)
    line(sum(w * att) / sum(w), IF[, use, drop = FALSE] %*% (w / sum(w)) + wif %*% att) }
  since <- cells[, 2] - cells[, 1]
  list(cells = cbind(cells[, 1:2], t(sapply(seq_len(nrow(cells)), function(i) line(cells[i, 3], IF[, i])))),
       since = t(sapply(sort(unique(since)), function(e) c(e, average(since == e)))), overall = average(since >= 0))
}
put3 <- function(id, call, l) keep(id, call, cells = l$cells, since = l$since, overall = rbind(l$overall))
call <- "group-time effects by hand, influence functions by site: group, period, effect, limits, p; by time since start; overall;"
put3("staggered.nhs_never", paste(call, "recovery %, starts made up (none, 2020, 2022, 2021 in turn), controls never treated"), cs(n, "never"))
put3("staggered.nhs_not_yet", paste(call, "the same, controls not yet treated"), cs(n, "not_yet"))
s$start <- s$steps
put3("staggered.stroke_never", paste(call, "stroke, B never, C from week 3, A from week 5 (made up)"), cs(s, "never"))
put3("staggered.stroke_not_yet", paste(call, "the same, without B: controls not yet treated"), cs(s[!is.na(s$start), ], "not_yet"))

# ---- stepped wedge --------------------------------------------------------------------------------------------------
wedge <- function(d, covs = NULL, level = 0.95) {
  d$treated <- as.integer(!is.na(d$start) & d$period >= d$start)
  m <- lmer(reformulate(c("factor(period)", covs, "treated", "(1 | site)"), "y"), d,
            control = lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-12, maxfun = 1e5)))
  t <- coef(summary(m))["treated", ]
  c(t[1], t[1] + c(-1, 1) * qt((1 + level) / 2, t[3]) * t[2], t[5], t[3])
}
call <- "lmerTest::lmer(y ~ factor(period) + treated + (1 | site)), REML, Satterthwaite:"
w <- k; w$start <- 1 + (w$site - 1) %% 4 + 1                                             # starts made up: 2, 3, 4, 5, 2, 3, 4
keep("wedge.stroke", paste(call, "stroke, B never, C from week 3, A from week 5 (made up)"), rows = rbind(wedge(s)))
keep("wedge.nhs", paste(call, "recovery %, starts made up (none, 2020, 2022, 2021 in turn), level 0.90"), rows = rbind(wedge(n, level = 0.9)))
keep("wedge.clinics", paste(call, "clinics, starts made up, 2 + (site - 1) %% 4; then with age"), rows = rbind(wedge(w), wedge(w, "age")))

# ---- the docstrings' numbers ----------------------------------------------------------------------------------------
e <- data.frame(site = rep(1:4, each = 3), period = 1:3, y = c(77, 78, 86, 80, 79, 86, 81, 80, 82, 80, 82, 84), start = rep(c(3, 3, NA, NA), each = 3))
j <- data.frame(y = c(5, 6, 3, 2, 6, 3, 6, 4, 0, 2, 5, 1), g = factor(rep(1:2, each = 6)), cluster = rep(1:6, each = 2))
h <- Wald_test(lm(y ~ 0 + g, j), constrain_zero(1:2), vcov = "CR2", cluster = j$cluster, test = "HTZ")
keep("docstrings", "as named", did = did(data.frame(site = rep(1:4, each = 2), period = 1:2, y = c(78, 86, 79, 86, 80, 82, 81, 84), start = rep(c(2, 2, NA, NA), each = 2))),
     event = event(e)$rows, pre = event(e)$pre, joint = c(h$Fstat, h$df_num, h$df_denom),
     wedge = wedge(data.frame(site = rep(1:3, each = 4), period = 1:4, start = rep(2:4, each = 4), y = c(78, 84, 86, 85, 80, 79, 86, 88, 75, 77, 77, 84))))

versions <- c(R = paste(R.version$major, R.version$minor, sep = "."), 
              sapply(c("clubSandwich", "lme4", "lmerTest"), function(p) as.character(packageVersion(p))))
write_json(list(versions = as.list(versions), cases = cases), "expected.json", digits = NA, auto_unbox = TRUE,
           na = "string", pretty = TRUE, matrix = "rowmajor")
