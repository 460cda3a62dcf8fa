# Reference values for clustered and repeated outcomes in therapyeval.stats.
# Run in this folder:  Rscript make_reference.R REAL_DATA_FOLDER     (only results leave that folder, never rows)
# Debian: r-base-core r-recommended r-cran-jsonlite -lme4 -lmertest -numderiv -geepack -sandwich -clubsandwich -lmtest -psych
suppressMessages({ library(jsonlite); library(lme4); library(lmerTest); library(nlme); library(numDeriv)
  library(geepack); library(sandwich); library(clubSandwich); library(lmtest) })
lmer <- lmerTest::lmer
real <- commandArgs(TRUE)[1]
cases <- list()
keep <- function(id, call, ...) cases[[id]] <<- list(call = call, values = lapply(list(...), unname))
rows <- function(l) do.call(rbind, l)

stroke <- read.csv("../stats/stroke_long.csv"); kidney <- read.csv("../stats/kidney.csv")
lung <- read.csv("../stats/lung.csv"); clustered <- read.csv("../stats/clustered.csv"); wide <- read.csv("../stats/stroke.csv")
stroke <- stroke[order(stroke$Subject, stroke$week), ]; kidney$sex <- factor(kidney$sex); lung$sex <- factor(lung$sex)
clustered$arm <- factor(clustered$arm); stroke$visit <- factor(stroke$week)
a <- read.csv(file.path(real, "acupuncture_headache/acupuncture.csv"), fileEncoding = "UTF-8-BOM"); a <- a[!is.na(a$pk5), ]
a$group <- factor(a$group); a <- a[order(a$practice_id, a$id), ]
b <- read.csv(file.path(real, "back_pain_prt/Ashar2022_outcomes_demographics.csv"), na.strings = c("NaN", "", "<undefined>"))
b <- b[b$is_patient == 1 & !is.na(b$group) & !is.na(b$pain_avg), ]; b <- b[order(b$id, b$time), ]
b$arm <- factor(b$group); b$visit <- factor(b$time)
few <- stroke[!(stroke$Subject %in% c(3, 8, 14, 20) & stroke$week > 5) & !(stroke$Subject == 11 & stroke$week == 4), ]   # made-up dropout

# ---- mixed models: lme4 with its optimizer tightened, lmerTest for Satterthwaite -------------------------------------
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 2e-3, rhoend = 1e-11, maxfun = 1e5), calc.derivs = FALSE,
                     check.conv.singular = "ignore")
loose <- lmerControl(calc.derivs = FALSE, check.conv.singular = "ignore")
fit <- function(f, d, reml = TRUE) suppressMessages({           # several starts: lme4 may stop at a saddle on the boundary
  m <- lmer(f, d, REML = reml, control = loose); starts <- list(getME(m, "theta"))
  if (length(starts[[1]]) == 3) starts <- c(starts, list(c(0.3, -0.3, 0.1), c(0.3, 0.3, 0.1), c(0.1, -0.3, 0.01)))
  all <- lapply(starts, function(s) lmer(f, d, REML = reml, control = tight, start = s))
  all[[which.min(sapply(all, if (reml) REMLcrit else deviance))]] })
# one row per weights w of the named coefficients: estimate, low, high, p, df
wald <- function(m, ..., level = 0.95) rows(lapply(list(...), function(w) {
  L <- setNames(rep(0, length(fixef(m))), names(fixef(m))); stopifnot(names(w) %in% names(L)); L[names(w)] <- w
  r <- contest(m, L, joint = FALSE, confint = TRUE, level = level); unlist(r[c("Estimate", "lower", "upper", "Pr(>|t|)", "df")]) }))
parts <- function(m) { v <- as.data.frame(VarCorr(m)); c(v$vcov, isSingular(m)) }
call <- "lmerTest::lmer, tightened, contest(confint = TRUE):"
m <- fit(ability ~ Group * week + (1 | Subject), stroke, FALSE)
keep("slope.stroke_ml", paste(call, "ability ~ Group * week + (1 | Subject), ML: slopes B - A, C - A"), parts = parts(m),
     rows = wald(m, c("GroupB:week" = 1), c("GroupC:week" = 1)))
m <- fit(ability ~ Group * week + (week | Subject), stroke)
keep("slope.stroke", paste(call, "ability ~ Group * week + (week | Subject), REML: slopes B - A, C - A"), parts = parts(m),
     rows = wald(m, c("GroupB:week" = 1), c("GroupC:week" = 1)))
m <- fit(ability ~ Group * week + (week | Subject), stroke, FALSE)
keep("slope.stroke_slope_ml", paste(call, "the same, ML, level 0.90"), parts = parts(m),
     rows = wald(m, c("GroupB:week" = 1), c("GroupC:week" = 1), level = 0.9))
m <- fit(ability ~ Group * week + (week | Subject), few)
keep("slope.stroke_dropout", paste(call, "the same, REML, made-up dropout: B - A, C - B"), parts = parts(m),
     rows = wald(m, c("GroupB:week" = 1), c("GroupC:week" = 1, "GroupB:week" = -1)))
m <- fit(ability ~ Group * visit + (1 | Subject), few)
keep("visit.stroke_dropout", paste(call, "ability ~ Group * factor(week) + (1 | Subject), REML, made-up dropout: at week 8 and change since week 1, B - A, C - B"),
     parts = parts(m), at = wald(m, c(GroupB = 1, "GroupB:visit8" = 1), c(GroupC = 1, "GroupC:visit8" = 1, GroupB = -1, "GroupB:visit8" = -1)),
     change = wald(m, c("GroupB:visit8" = 1), c("GroupC:visit8" = 1, "GroupB:visit8" = -1)))
m <- fit(pain_avg ~ arm * visit + age + factor(gender) + (1 | id), b)
keep("visit.back_pain", paste(call, "pain_avg ~ arm * factor(time) + age + factor(gender) + (1 | id), REML: change, placebo - PRT, usual - PRT; at time 2"),
     parts = parts(m), change = wald(m, c("arm2:visit2" = 1), c("arm3:visit2" = 1)),
     at = wald(m, c(arm2 = 1, "arm2:visit2" = 1), c(arm3 = 1, "arm3:visit2" = 1)))
m <- fit(pk5 ~ group + pk1 + age + sex + migraine + chronicity + (1 | practice_id), a)
keep("mixed.acupuncture", paste(call, "pk5 ~ group + pk1 + age + sex + migraine + chronicity + (1 | practice_id), REML, level 0.90: 0 - 1"),
     parts = parts(m), rows = wald(m, c(group1 = -1), level = 0.9))
m <- fit(pk5 ~ group + pk1 + (1 + as.integer(group == 1) | practice_id), a)
keep("mixed.acupuncture_slope", paste(call, "pk5 ~ group + pk1 + (1 + group | practice_id), REML: 1 - 0"), parts = parts(m), rows = wald(m, c(group1 = 1)))
for (reml in c(TRUE, FALSE)) {
  tail <- if (reml) "reml" else "ml"
  m <- fit(time ~ sex + age + disease + (1 | id), kidney, reml)
  keep(paste0("mixed.kidney_", tail), paste(call, "time ~ sex + age + disease + (1 | id),", tail, ": 2 - 1"), parts = parts(m), rows = wald(m, c(sex2 = 1)))
  m <- fit(score ~ arm + age + payer + (1 | patient), clustered, reml)
  keep(paste0("mixed.clustered_", tail), paste(call, "score ~ arm + age + payer + (1 | patient),", tail, ": 1-0, 2-0, 2-1"), parts = parts(m),
       rows = wald(m, c(arm1 = 1), c(arm2 = 1), c(arm2 = 1, arm1 = -1)))
}
m <- fit(time ~ sex + age + ecog + (1 | inst), lung)
keep("mixed.lung", paste(call, "time ~ sex + age + ecog + (1 | inst), REML: 2 - 1"), parts = parts(m), rows = wald(m, c(sex2 = 1)))
m <- fit(score ~ arm + age + (1 + age | patient), clustered)
keep("mixed.clustered_slope", paste(call, "score ~ arm + age + (1 + age | patient), REML: 1 - 0"), parts = parts(m), rows = wald(m, c(arm1 = 1)))

# ---- unstructured covariance: nlme::gls for estimates and errors; df by the definition (no mmrm in Debian) ------------
# restricted likelihood over the Cholesky factor of the visits' covariance, and Satterthwaite's df by numerical derivatives
unstructured <- function(f, d, id, visit) {
  X <- model.matrix(f, d); y <- model.response(model.frame(f, d)); v <- as.integer(d[[visit]]); T <- max(v)
  who <- split(seq_len(nrow(d)), d[[id]])
  at <- function(theta) { L <- matrix(0, T, T); L[lower.tri(L, TRUE)] <- theta; S <- tcrossprod(L); XX <- 0; Xy <- 0; yy <- 0; ld <- 0
    for (i in who) { V <- S[v[i], v[i], drop = FALSE]; W <- solve(V); x <- X[i, , drop = FALSE]
      XX <- XX + t(x) %*% W %*% x; Xy <- Xy + t(x) %*% W %*% y[i]; yy <- yy + c(t(y[i]) %*% W %*% y[i])
      ld <- ld + c(determinant(V)$modulus) }
    C <- solve(XX); list(C = C, beta = C %*% Xy, dev = ld + c(determinant(XX)$modulus) + yy - c(t(Xy) %*% C %*% Xy)) }
  dev <- function(theta) at(theta)$dev
  s <- sd(residuals(lm(f, d))); L0 <- t(chol(s^2 * (diag(T) + 1) / 2)); theta <- L0[lower.tri(L0, TRUE)]
  theta <- nlminb(theta, dev, control = list(iter.max = 2000, eval.max = 5000, rel.tol = 1e-13))$par
  for (k in 1:3) { H <- hessian(dev, theta); theta <- theta - solve(H, grad(dev, theta)) }
  list(at = at, theta = theta, A = 2 * solve(hessian(dev, theta)), names = colnames(X)) }
test <- function(m, ..., level = 0.95) rows(lapply(list(...), function(w) {
  L <- setNames(rep(0, length(m$names)), m$names); stopifnot(names(w) %in% names(L)); L[names(w)] <- w
  v <- function(theta) c(t(L) %*% m$at(theta)$C %*% L); g <- grad(v, m$theta); e <- sum(L * m$at(m$theta)$beta)
  df <- 2 * v(m$theta)^2 / c(t(g) %*% m$A %*% g); se <- sqrt(v(m$theta))
  c(e + c(0, -1, 1) * qt((1 + level) / 2, df) * se, 2 * pt(-abs(e / se), df), df) }))
by_gls <- function(f, d, id, visit, ...) { d$.v <- as.integer(d[[visit]]); d$.f <- factor(d$.v); d$.id <- factor(d[[id]])
  m <- gls(f, d, correlation = corSymm(form = ~ .v | .id), weights = varIdent(form = ~ 1 | .f), method = "REML",
           control = glsControl(maxIter = 500, msMaxIter = 1000, tolerance = 1e-10, msTol = 1e-12))
  rows(lapply(list(...), function(w) { L <- setNames(rep(0, length(coef(m))), names(coef(m))); L[names(w)] <- w
    c(sum(L * coef(m)), sqrt(c(t(L) %*% m$varBeta %*% L))) })) }
both <- function(id, call, f, d, who, visit, ..., level = 0.95) { m <- unstructured(f, d, who, visit); g <- by_gls(f, d, who, visit, ...)
  keep(id, paste("own function; nlme::gls(corSymm, varIdent) (gls: estimate, se):", call), rows = test(m, ..., level = level), gls = g) }
even <- few[few$week %% 2 == 0, ]; even$visit <- factor(even$week)
both("unstructured.stroke_dropout", "ability ~ Group * visit, weeks 2, 4, 6, 8, made-up dropout: week 8, B - A, C - A; change since week 2, B - A",
     ability ~ Group * visit, even, "Subject", "visit", c(GroupB = 1, "GroupB:visit8" = 1), c(GroupC = 1, "GroupC:visit8" = 1), c("GroupB:visit8" = 1))
both("unstructured.back_pain", "pain_avg ~ arm * visit + age + gender: change, placebo - PRT, usual - PRT; time 2, placebo - PRT; level 0.90",
     pain_avg ~ arm * visit + age + gender, transform(b, gender = factor(gender)), "id", "visit", c("arm2:visit2" = 1), c("arm3:visit2" = 1), c(arm2 = 1, "arm2:visit2" = 1), level = 0.9)
p <- read.csv(file.path(real, "acupuncture_headache/acupuncture.csv"), fileEncoding = "UTF-8-BOM")
p <- reshape(p[, c("id", "group", "age", "migraine", "pk1", "pk2", "pk5")], direction = "long", varying = c("pk1", "pk2", "pk5"), v.names = "pk", timevar = "visit", times = 1:3, idvar = "id")
p <- p[!is.na(p$pk), ]; p <- p[order(p$id, p$visit), ]; p$visit <- factor(p$visit)
both("unstructured.acupuncture", "pk ~ group * visit + age + migraine, pk1, pk2, pk5 as visits, all with any: 1 - 0 at visit 3, change since 1, change since 2",
     pk ~ group * visit + age + migraine, p, "id", "visit", c(group = 1, "group:visit3" = 1), c("group:visit3" = 1), c("group:visit3" = 1, "group:visit2" = -1))

# ---- CR1: sandwich, t with clusters - 1 df; clubSandwich's CR1S as a check -------------------------------------------
cr1 <- function(m, cluster, ..., level = 0.95) rows(lapply(list(...), function(w) {
  L <- setNames(rep(0, length(coef(m))), names(coef(m))); stopifnot(names(w) %in% names(L)); L[names(w)] <- w
  V <- vcovCL(m, cluster = cluster, type = "HC1", cadjust = TRUE); df <- length(unique(cluster)) - 1
  stopifnot(all.equal(unname(V), unname(as.matrix(vcovCR(m, cluster = cluster, type = "CR1S"))), check.attributes = FALSE))
  e <- sum(L * coef(m)); se <- sqrt(c(t(L) %*% V %*% L)); c(e + c(0, -1, 1) * qt((1 + level) / 2, df) * se, 2 * pt(-abs(e / se), df), df) }))
call <- "sandwich::vcovCL(type = 'HC1', cadjust = TRUE), t with clusters - 1; equals clubSandwich CR1S:"
keep("cr1.acupuncture", paste(call, "pk5 ~ group + pk1 + age + sex + migraine + chronicity by practice_id: 0 - 1"),
     rows = cr1(lm(pk5 ~ group + pk1 + age + sex + migraine + chronicity, a), a$practice_id, c(group1 = -1)))
keep("cr1.clustered_90", paste(call, "score ~ arm + age + payer by patient: 1-0, 2-0, level 0.90"),
     rows = cr1(lm(score ~ arm + age + payer, clustered), clustered$patient, c(arm1 = 1), c(arm2 = 1), level = 0.9))
keep("cr1.stroke", paste(call, "ability ~ Group + week by Subject: B - A, C - A"),
     rows = cr1(lm(ability ~ Group + week, stroke), stroke$Subject, c(GroupB = 1), c(GroupC = 1)))

# ---- GEE: geepack, iterated to the end; Mancl and DeRouen (2001) by hand, clubSandwich's CR3 as a check ---------------
# (geepack 1.3.9 has no such correction; clubSandwich 0.5.8 knows no GEE)
gee <- function(f, d, id, family, corstr, waves = NULL) { d <- d[order(d[[id]], if (is.null(waves)) seq_len(nrow(d)) else d[[waves]]), ]
  d$.id <- d[[id]]; d$.w <- if (is.null(waves)) rep(1L, nrow(d)) else as.integer(d[[waves]])
  args <- list(f, data = d, id = quote(.id), family = family, corstr = corstr, control = geese.control(epsilon = 1e-13, maxit = 500))
  if (!is.null(waves)) args$waves <- quote(.w)
  m <- do.call(geeglm, args); m$rows <- d; m$waves. <- d$.w; m }
z <- function(m, back, scaled, ..., level = 0.95) { V <- m$geese$vbeta; G <- length(unique(m$rows$.id)); if (scaled) V <- V * G / (G - 1)
  rows(lapply(list(...), function(w) { L <- setNames(rep(0, length(coef(m))), names(coef(m))); stopifnot(names(w) %in% names(L)); L[names(w)] <- w
    e <- sum(L * coef(m)); se <- sqrt(c(t(L) %*% V %*% L)); c(back(e + c(0, -1, 1) * qnorm((1 + level) / 2) * se), 2 * pnorm(-abs(e / se)), NA) })) }
md <- function(m) { X <- model.matrix(m); mu <- c(fitted(m)); v <- m$family$variance(mu); D <- X * m$family$mu.eta(c(m$linear.predictors))
  alpha <- if (length(m$geese$alpha)) m$geese$alpha else 0; id <- m$rows$.id; e <- m$y - mu
  V <- lapply(unique(id), function(g) { k <- which(id == g); R <- if (m$corstr == "ar1") alpha^abs(outer(m$waves.[k], m$waves.[k], "-")) else
    alpha + diag(1 - alpha, length(k)); diag(sqrt(v[k]), length(k)) %*% R %*% diag(sqrt(v[k]), length(k)) }); names(V) <- unique(id)
  each <- function(h) Reduce(`+`, lapply(unique(id), function(g) { k <- which(id == g); h(D[k, , drop = FALSE], solve(V[[as.character(g)]]), e[k]) }))
  C <- solve(each(function(d, w, r) t(d) %*% w %*% d))
  C %*% each(function(d, w, r) tcrossprod(t(d) %*% w %*% solve(diag(length(r)) - d %*% C %*% t(d) %*% w, r))) %*% C }
t_md <- function(m, back, ..., level = 0.95) { V <- md(m); df <- length(unique(m$rows$.id)) - length(coef(m))
  rows(lapply(list(...), function(w) { L <- setNames(rep(0, length(coef(m))), names(coef(m))); L[names(w)] <- w
    e <- sum(L * coef(m)); se <- sqrt(c(t(L) %*% V %*% L)); c(back(e + c(0, -1, 1) * qt((1 + level) / 2, df) * se), 2 * pt(-abs(e / se), df), df) })) }
three <- function(id, call, m, back, ..., level = 0.95) keep(id, paste("geepack::geeglm; Mancl-DeRouen by hand:", call), alpha = m$geese$alpha,
  robust = z(m, back, FALSE, ..., level = level), scaled = z(m, back, TRUE, ..., level = level), mancl_derouen = t_md(m, back, ..., level = level))
m <- gee(pk5 ~ group + pk1 + age, a, "practice_id", gaussian, "independence")
stopifnot(all.equal(unname(md(m)), unname(as.matrix(vcovCR(lm(pk5 ~ group + pk1 + age, m$rows), cluster = m$rows$.id, type = "CR3"))), check.attributes = FALSE, tolerance = 1e-8))
three("gee.acupuncture_independence", "pk5 ~ group + pk1 + age by practice, independence: 0 - 1", m, identity, c(group1 = -1))
m <- gee(pk5 ~ group + pk1 + age, a, "practice_id", gaussian, "exchangeable")
three("gee.acupuncture_exchangeable", "the same, exchangeable, level 0.90: 0 - 1", m, identity, c(group1 = -1), level = 0.9)
m <- gee(score ~ arm + age + payer, clustered, "patient", gaussian, "exchangeable")
three("gee.clustered", "score ~ arm + age + payer by patient, exchangeable: 1-0, 2-1", m, identity, c(arm1 = 1), c(arm2 = 1, arm1 = -1))
m <- gee(ability ~ Group + week, few, "Subject", gaussian, "ar1", "week")
three("gee.stroke_ar1", "ability ~ Group + week by Subject, ar1, made-up dropout: B - A, C - A", m, identity, c(GroupB = 1), c(GroupC = 1))
m <- gee(ability ~ Group + week, stroke, "Subject", gaussian, "exchangeable")
three("gee.stroke_exchangeable", "ability ~ Group + week by Subject, exchangeable: B - A, C - A", m, identity, c(GroupB = 1), c(GroupC = 1))
m <- gee(ability ~ Group * week, stroke, "Subject", gaussian, "independence")
three("gee.stroke_at_0", "ability ~ Group * week by Subject, independence: B - A, C - A at week 0", m, identity, c(GroupB = 1), c(GroupC = 1))
few$good <- as.integer(few$ability >= 60); a$good <- as.integer(a$pk5 <= 0.65 * a$pk1); clustered$seen <- as.integer(clustered$score > 40)
# risks standardized over the rows at hand, delta method (Localio, Margolis and Berlin 2007): by hand from geeglm's coefficients and vcov
risks <- function(id, call, m, column, ..., level = 0.95) {
  at <- function(g) { d <- m$rows; d[[column]] <- factor(g, sort(unique(as.character(d[[column]])))); X <- model.matrix(delete.response(terms(m)), d); p <- plogis(c(X %*% coef(m))); list(mean(p), colMeans(p * (1 - p) * X)) }
  G <- length(unique(m$rows$.id)); q <- (1 + level) / 2; df <- G - length(coef(m)); V <- list(m$geese$vbeta, m$geese$vbeta * G / (G - 1), md(m))
  one <- function(k) rows(lapply(list(...), function(pair) { x <- at(pair[1]); y <- at(pair[2]); e <- x[[1]] - y[[1]]; w <- x[[2]] - y[[2]]; se <- sqrt(c(t(w) %*% V[[k]] %*% w))
    if (k < 3) c(e + c(0, -1, 1) * qnorm(q) * se, 2 * pnorm(-abs(e / se)), NA) else c(e + c(0, -1, 1) * qt(q, df) * se, 2 * pt(-abs(e / se), df), df) }))
  keep(id, paste("geepack::geeglm, risks standardized by hand; Mancl-DeRouen by hand:", call), robust = one(1), scaled = one(2), mancl_derouen = one(3)) }
for (corstr in c("exchangeable", "ar1")) { m <- gee(good ~ Group + week, few, "Subject", binomial, corstr, "week")
  three(paste0("gee.stroke_binomial_", corstr), paste("ability >= 60 ~ Group + week by Subject, made-up dropout,", corstr, ": A / C, B / C"), m, exp, c(GroupC = -1), c(GroupB = 1, GroupC = -1))
  risks(paste0("gee.stroke_risks_", corstr), paste("the same,", corstr, "level 0.90: A - C, B - C"), m, "Group", c("A", "C"), c("B", "C"), level = 0.9) }
m <- gee(good ~ group + pk1 + age, a, "practice_id", binomial, "exchangeable")
three("gee.acupuncture_binomial", "pk5 <= 0.65 pk1 ~ group + pk1 + age by practice, exchangeable: 1 / 0", m, exp, c(group1 = 1))
risks("gee.acupuncture_risks", "the same: 1 - 0", m, "group", c("1", "0"))
kidney$days <- 10 + kidney$time %% 50                                            # exposure made up by formula
m <- gee(status ~ sex + age + offset(log(days)), kidney, "id", poisson, "exchangeable")
three("gee.kidney_poisson", "status ~ sex + age + offset(log(10 + time %% 50)) by id, exchangeable: 2 / 1", m, exp, c(sex2 = 1))
few$gain <- few$ability %/% 10
m <- gee(gain ~ Group + week, few, "Subject", poisson, "ar1", "week")
three("gee.stroke_poisson_ar1", "ability %/% 10 ~ Group + week by Subject, made-up dropout, ar1: A / C, B / C", m, exp, c(GroupC = -1), c(GroupB = 1, GroupC = -1))

# ---- intraclass correlation: by hand from aov (Searle 1971; Thomas and Hultquist 1978), psych::ICC as a check where balanced
ratio_of <- function(x, g, level = 0.95) { g <- factor(g); m <- table(g); k <- length(m); N <- sum(m); tab <- anova(lm(x ~ g)); B <- tab[1, 3]; W <- tab[2, 3]
  m0 <- (N - sum(m^2) / N) / (k - 1); mh <- k / sum(1 / m); Fs <- mh * var(c(tapply(x, g, mean))) / W; p <- (1 - level) / 2
  end <- function(q) (Fs / q - 1) / (Fs / q + mh - 1)
  c((B - W) / (B + (m0 - 1) * W), end(qf(1 - p, k - 1, N - k)), end(qf(p, k - 1, N - k))) }
by <- function(d, group, x, g, level = 0.95) rows(lapply(split(d, d[[group]]), function(p) ratio_of(p[[x]], p[[g]], level)))
keep("icc.stroke", "by hand from aov: ability by Subject, each Group; psych::ICC agrees", rows = by(stroke, "Group", "ability", "Subject"))
for (g in c("A", "B", "C")) { w <- as.matrix(wide[wide$Group == g, paste0("week", 1:8)]); s <- suppressMessages(psych::ICC(w, lmer = FALSE))$results[1, c("ICC", "lower bound", "upper bound")]
  stopifnot(all.equal(unname(unlist(s)), unname(by(stroke, "Group", "ability", "Subject")[match(g, c("A", "B", "C")), ]), tolerance = 1e-7)) }
keep("icc.acupuncture_90", "by hand from aov: pk5 by practice_id, group 0 and 1, level 0.90", rows = by(a, "group", "pk5", "practice_id", 0.9))
keep("icc.clustered", "by hand from aov: score by patient, arms 0, 1, 2", rows = by(clustered, "arm", "score", "patient"))
keep("icc.kidney", "by hand from aov: log(time) by id", rows = rbind(ratio_of(log(kidney$time), kidney$id)))
# after fixed effects: lme4's own deviance function, profiled over between / (between + within)
after <- function(f, d, level = 0.95) { m <- fit(f, d); dd <- suppressMessages(lme4::lmer(f, d, devFunOnly = TRUE)); v <- as.data.frame(VarCorr(m))$vcov; best <- v[1] / sum(v)
  at <- function(r) dd(sqrt(r / (1 - r))); top <- min(at(best), REMLcrit(m)) + qchisq(level, 1); root <- function(lo, hi) uniroot(function(r) at(r) - top, c(lo, hi), tol = 1e-13)$root
  c(best, if (at(0) <= top) 0 else root(0, best), root(best, 1 - 1e-9)) }
keep("icc.stroke_after", "lme4 deviance profiled: ability ~ Group * visit + (1 | Subject), made-up dropout", rows = rbind(after(ability ~ Group * visit + (1 | Subject), few)))
keep("icc.clustered_after", "lme4 deviance profiled: score ~ arm + age + payer + (1 | patient), level 0.90", rows = rbind(after(score ~ arm + age + payer + (1 | patient), clustered, 0.9)))
keep("icc.back_pain_after", "lme4 deviance profiled: pain_avg ~ arm * visit + age + factor(gender) + (1 | id)", rows = rbind(after(pain_avg ~ arm * visit + age + factor(gender) + (1 | id), b)))

# ---- wild cluster bootstrap: every pattern of signs, each fitted by least squares (Cameron, Gelbach and Miller 2008, null imposed)
wild <- function(f, d, w, cluster, level = 0.95) { X <- model.matrix(f, d); y <- model.response(model.frame(f, d)); L <- setNames(rep(0, ncol(X)), colnames(X)); stopifnot(names(w) %in% names(L)); L[names(w)] <- w
  C <- solve(crossprod(X)); g <- as.integer(factor(cluster)); G <- max(g); signs <- as.matrix(expand.grid(rep(list(c(1, -1)), G))); W <- t(signs[, g])
  statistic <- function(Y, r) { beta <- C %*% crossprod(X, Y); e <- Y - X %*% beta; v <- c(X %*% C %*% L)
    (c(t(L) %*% beta) - r) / sqrt(colSums(rowsum(v * e, g)^2)) }
  p <- function(r) { beta <- C %*% crossprod(X, y); null <- beta - C %*% L %*% ((t(L) %*% beta - r) / c(t(L) %*% C %*% L)); u <- c(y - X %*% null)
    mean(abs(statistic(c(X %*% null) + u * W, r)) >= abs(statistic(cbind(y), r)) * (1 - 1e-9)) }
  e <- c(t(L) %*% C %*% crossprod(X, y)); s <- abs(e / statistic(cbind(y), 0))
  limit <- function(side) { inside <- 0; outside <- 2; while (p(e + side * outside * s) > 1 - level) { inside <- outside; outside <- 2 * outside }
    for (k in 1:45) { middle <- (inside + outside) / 2; if (p(e + side * middle * s) <= 1 - level) outside <- middle else inside <- middle }; e + side * inside * s }
  c(e, limit(-1), limit(1), p(0), NA) }
stroke$site <- (stroke$Subject - 1) %/% 3; kidney$site <- kidney$id %% 9                   # sites made up by formula
call <- "own function, every pattern of signs:"
keep("wild.stroke", paste(call, "ability ~ Group + week by (Subject - 1) %/% 3: B - A, C - A"),
     rows = rbind(wild(ability ~ Group + week, stroke, c(GroupB = 1), stroke$site), wild(ability ~ Group + week, stroke, c(GroupC = 1), stroke$site)))
keep("wild.kidney_90", paste(call, "time ~ sex + age + disease by id %% 9: 2 - 1, level 0.90"), rows = rbind(wild(time ~ sex + age + disease, kidney, c(sex2 = 1), kidney$site, 0.9)))
a$site <- a$practice_id %% 8
keep("wild.acupuncture", paste(call, "pk5 ~ group + pk1 by practice_id %% 8: 0 - 1"), rows = rbind(wild(pk5 ~ group + pk1, a, c(group1 = -1), a$site)))

# ---- the examples in docstrings --------------------------------------------------------------------------------------
e1 <- data.frame(y = c(20, 25, 27, 22, 31, 33, 18, 21, 17, 24, 26, 20), site = rep(1:6, each = 2), program = rep(1:0, each = 6))
e2 <- data.frame(y = c(10, 15, 19, 20, 22, 27, 14, 15, 18, 9, 13, 13), who = rep(1:4, each = 3), week = rep(0:2, 4)); e2$arm <- factor(ifelse(e2$who > 2, "b", "a"), c("b", "a"))
e3 <- c(5, 7, 8, 1, 4, 3); e4 <- data.frame(y = c(1, 2, 3, 5, 9, 7), site = rep(1:3, each = 2), arm = 0)
keep("example.mixed", "lmer", rows = wald(fit(y ~ program + (1 | site), e1), c(program = 1)))
keep("example.slope", "lmer", rows = wald(fit(y ~ arm * week + (week | who), e2), c("arma:week" = 1)))
keep("example.repeated", "t.test of the changes, equal spread", rows = { t <- t.test(e3[1:3], e3[4:6], var.equal = TRUE); rbind(c(-diff(t$estimate), t$conf.int, t$p.value, t$parameter)) })
m <- gee(y ~ program, e1, "site", gaussian, "exchangeable"); keep("example.gee", "geeglm, Mancl-DeRouen by hand", rows = t_md(m, identity, c(program = 1)))
keep("example.icc", "by hand; lme4", rows = rbind(ratio_of(e4$y, e4$site), after(y ~ 1 + (1 | site), e4)))
e1$program <- e1$program; p1 <- wild(y ~ program, e1, c(program = 1), e1$site, 0.5); keep("example.wild", "own function", rows = rbind(p1))

done <- function() {
  pk <- c("lme4", "lmerTest", "nlme", "numDeriv", "geepack", "sandwich", "clubSandwich", "lmtest", "psych", "jsonlite")
  versions <- c(R = paste(R.version$major, R.version$minor, sep = "."), sapply(pk, function(p) as.character(packageVersion(p))))
  write_json(list(versions = as.list(versions), cases = cases), "expected.json", auto_unbox = TRUE, digits = NA, pretty = TRUE)
}
done()
