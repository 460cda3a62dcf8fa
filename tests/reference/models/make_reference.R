# Reference values for adjusted models and Firth's logistic regression in therapyeval.stats.
# Run in this folder:  Rscript make_reference.R REAL_DATA_FOLDER     (only results leave that folder, never rows)
# Debian: r-base-core r-recommended r-cran-jsonlite -ordinal -brglm2 -sandwich
suppressMessages({ library(jsonlite); library(MASS); library(ordinal); library(brglm2); library(sandwich) })
real <- commandArgs(TRUE)[1]
cases <- list()
keep <- function(id, call, ...) cases[[id]] <<- list(call = call, values = lapply(list(...), unname))
rows <- function(l) do.call(rbind, l)
tight <- glm.control(epsilon = 1e-14, maxit = 100)
glm <- function(...) { m <- stats::glm(...); stats::glm(..., start = coef(m)) }      # so that vcov() is taken at the maximum

stroke <- read.csv("../stats/stroke.csv"); kutner <- read.csv("../stats/kutner.csv"); lung <- read.csv("../stats/lung.csv")
stroke$good <- as.integer(stroke$week8 >= 60); stroke$grade <- cut(stroke$week8, c(-1, 40, 75, 100), labels = FALSE)
kutner$long <- as.integer(kutner$y > 32)
a <- read.csv(file.path(real, "acupuncture_headache/acupuncture.csv"), fileEncoding = "UTF-8-BOM"); a <- a[!is.na(a$pk5), ]
a$good <- as.integer(a$pk5 <= 0.65 * a$pk1); a$band <- cut(a$age, c(0, 40, 52, 99), labels = FALSE)
b <- read.csv(file.path(real, "back_pain_prt/Ashar2022_outcomes_demographics.csv"), na.strings = c("NaN", "", "<undefined>"))
b <- b[b$is_patient == 1 & !is.na(b$group), c("id", "time", "group", "pgic", "pain_avg")]
b <- merge(b[b$time == 1, ], b[b$time == 2, c("id", "pgic")], by = "id", suffixes = c("1", "2")); b <- b[!is.na(b$pgic2), ]
p <- read.csv(file.path(real, "pedalfast_tbi/pedalfast.csv")); p$mechanism <- factor(p$injurymech); p$years <- p$age / 365.25
set.seed(20261122)                      # made up: falls of 120 residents over unequal times, more variable than Poisson
f <- data.frame(program = rep(0:1, 60), days = sample(20:90, 120, TRUE), age = sample(60:95, 120, TRUE),
                ward = sample(c("east", "north", "west"), 120, TRUE), before = rpois(120, 2))
f$falls <- rnbinom(120, size = 1.5, mu = f$days / 30 * exp(-0.2 - 0.4 * f$program + 0.3 * f$before + 0.02 * (f$age - 75)))
write.csv(f, "falls.csv", row.names = FALSE, quote = FALSE)

# ---- logistic: standardized risks, ten lines from Localio (2007); gradient by central differences -------------------
wald <- function(est, se, back = identity, level = 0.95)
  c(back(est + c(0, -1, 1) * qnorm((1 + level) / 2) * se), 2 * pnorm(-abs(est / se)))
standard <- function(f, data, group, one, two, level = 0.95) {
  data[[group]] <- factor(data[[group]]); m <- glm(f, binomial, data, control = tight); V <- vcov(m)
  at <- function(g) { d <- data; d[[group]] <- factor(g, levels(data[[group]])); model.matrix(delete.response(terms(m)), d) }
  x1 <- at(one); x2 <- at(two); risk <- function(x, beta) mean(plogis(x %*% beta))
  rd <- function(beta) risk(x1, beta) - risk(x2, beta); lr <- function(beta) log(risk(x1, beta)) - log(risk(x2, beta))
  grad <- function(h) colMeans(plogis(x1 %*% coef(m))[, 1] * (1 - plogis(x1 %*% coef(m))[, 1]) * x1) * h[1] -
                      colMeans(plogis(x2 %*% coef(m))[, 1] * (1 - plogis(x2 %*% coef(m))[, 1]) * x2) * h[2]
  se <- function(h) sqrt(c(grad(h) %*% V %*% grad(h)))
  L <- x1[1, ] - x2[1, ]
  rows(list(wald(rd(coef(m)), se(c(1, 1)), identity, level),
            wald(lr(coef(m)), se(1 / c(risk(x1, coef(m)), risk(x2, coef(m)))), exp, level),
            wald(sum(L * coef(m)), sqrt(c(L %*% V %*% L)), exp, level)))
}
call <- "glm(binomial), standardized risk difference and ratio with delta method by hand, Wald odds ratio"
keep("risk.acupuncture", paste(call, "good ~ group + pk1 + age + sex + migraine + chronicity: 1-0"),
     rows = standard(good ~ group + pk1 + age + sex + migraine + chronicity, a, "group", 1, 0))
keep("risk.lung", paste(call, "seen ~ sex + age + ecog: 2-1, level 0.90"), rows = standard(seen ~ sex + age + ecog, lung, "sex", 2, 1, 0.9))
keep("risk.stroke", paste(call, "good ~ Group + week1: A-C"), rows = standard(good ~ Group + week1, stroke, "Group", "A", "C"))
keep("risk.plain", paste(call, "good ~ group, no covariate, acupuncture"), rows = standard(good ~ group, a, "group", 1, 0))

# ---- counts ---------------------------------------------------------------------------------------------------------
ratio <- function(m, L, level = 0.95) wald(sum(L * coef(m)), sqrt(c(L %*% vcov(m) %*% L)), exp, level)
nb <- function(f, d) { m <- glm.nb(f, d, control = tight); glm.nb(f, d, control = tight, start = coef(m), init.theta = m$theta) }
both <- function(f, d, L, level = 0.95) list(poisson = rows(lapply(L, function(l) ratio(glm(f, poisson, d, control = tight), l, level))),
                                             negative_binomial = rows(lapply(L, function(l) ratio(nb(f, d), l, level))))
do.call(keep, c("count.pedalfast", "glm(poisson), MASS::glm.nb: hosplos ~ injurymech + age + female: Fall / abuse, Traffic / abuse, Traffic / Fall, level 0.90",
                both(hosplos ~ relevel(mechanism, "Known or suspected abuse") + years + female, p,
                     list(c(0, 1, 0, 0, 0, 0, 0), c(0, 0, 0, 0, 1, 0, 0), c(0, -1, 0, 0, 1, 0, 0)), 0.9)))
do.call(keep, c("count.falls", "the same: falls ~ program + log(1 + before) + age + ward + offset(log(days)), 1 / 0; made-up falls",
                both(falls ~ program + log(1 + before) + age + ward + offset(log(days)), f, list(c(0, 1, 0, 0, 0, 0)))))
keep("count.kutner", "glm(poisson): y ~ group, no covariate: 1 / 2, 1 / 3", rows = { k <- kutner; k$group <- factor(k$group)
  m <- glm(y ~ group, poisson, k, control = tight); rows(list(ratio(m, c(0, -1, 0)), ratio(m, c(0, 0, -1)))) })

# ---- proportional odds ----------------------------------------------------------------------------------------------
odds <- function(f, d, L, level = 0.95) {
  m <- clm(f, data = d, control = clm.control(gradTol = 1e-12)); i <- names(m$beta); V <- vcov(m)[i, i]
  check <- coef(polr(f, data = d, Hess = TRUE)); stopifnot(max(abs(check - m$beta)) < 1e-2)
  wald(sum(L * m$beta), sqrt(c(L %*% V %*% L)), exp, level)
}
stroke$grade <- factor(stroke$grade, ordered = TRUE); lung$grade <- factor(lung$ecog, ordered = TRUE); b$pgic2 <- factor(b$pgic2, ordered = TRUE)
lung$woman <- lung$sex - 1; b$group <- factor(b$group)
keep("ordinal.stroke", "ordinal::clm (MASS::polr agrees): week8 in 0-40, 41-75, 76-100 ~ Group + week1: B-A, C-A, C-B",
     rows = rows(list(odds(grade ~ Group + week1, stroke, c(1, 0, 0)), odds(grade ~ Group + week1, stroke, c(0, 1, 0)),
                      odds(grade ~ Group + week1, stroke, c(-1, 1, 0)))))
keep("ordinal.lung", "the same: ecog ~ sex + age: 2-1, level 0.90", rows = rows(list(odds(grade ~ woman + age, lung, c(1, 0), 0.9))))
keep("ordinal.back_pain", "the same: pgic after ~ group + pain_avg before: 1-3, 2-3",
     rows = rows(list(odds(pgic2 ~ group + pain_avg, b, c(0, -1, 0)), odds(pgic2 ~ group + pain_avg, b, c(1, -1, 0)))))

# ---- subgroups ------------------------------------------------------------------------------------------------------
sub_lm <- function(d, y, g, s, covs, level = 0.95) {
  d$cell <- interaction(d[[g]], d[[s]], lex.order = FALSE); f <- reformulate(c("0 + cell", covs), y)
  m <- lm(f, d); V <- vcovHC(m, "HC3"); k <- nlevels(d$cell) / 2; p <- length(coef(m)); L <- matrix(0, k, p)
  for (i in 1:k) L[i, 2 * i - 1:0] <- c(-1, 1)
  df <- df.residual(m); est <- c(L %*% coef(m)); se <- sqrt(diag(L %*% V %*% t(L))); q <- qt((1 + level) / 2, df)
  D <- cbind(1, -diag(k - 1)) %*% L; W <- c(t(D %*% coef(m)) %*% solve(D %*% V %*% t(D), D %*% coef(m))) / (k - 1)
  list(effects = cbind(est, est - q * se, est + q * se, 2 * pt(-abs(est / se), df), df),
       interaction = c(W, k - 1, df, pf(W, k - 1, df, lower.tail = FALSE)))
}
sub_glm <- function(d, y, g, s, covs, level = 0.95) {
  d$cell <- interaction(d[[g]], d[[s]], lex.order = FALSE); m <- glm(reformulate(c("0 + cell", covs), y), binomial, d, control = tight)
  V <- vcov(m); k <- nlevels(d$cell) / 2; L <- matrix(0, k, length(coef(m))); for (i in 1:k) L[i, 2 * i - 1:0] <- c(-1, 1)
  D <- cbind(1, -diag(k - 1)) %*% L; W <- c(t(D %*% coef(m)) %*% solve(D %*% V %*% t(D), D %*% coef(m)))
  list(effects = rows(lapply(1:k, function(i) wald(sum(L[i, ] * coef(m)), sqrt(c(L[i, ] %*% V %*% L[i, ])), exp, level))),
       interaction = c(W, k - 1, pchisq(W, k - 1, lower.tail = FALSE)))
}
subkeep <- function(id, call, l) keep(id, call, effects = l$effects, interaction = l$interaction)
subkeep("subgroup.acupuncture", "lm, vcovHC HC3, Wald F: pk5 by group 1-0 in migraine 0, 1, with pk1 + age", sub_lm(a, "pk5", "group", "migraine", c("pk1", "age")))
subkeep("subgroup.lung", "the same: time by sex 2-1 in ecog grade 0, 1, 2, with age, level 0.90", sub_lm(lung, "time", "sex", "ecog", "age", 0.9))
subkeep("subgroup.logistic_acupuncture", "glm, Wald: good by group 1-0 in three age bands, with pk1", sub_glm(a, "good", "group", "band", "pk1"))
subkeep("subgroup.logistic_lung", "glm, Wald: seen by sex 2-1 in ecog grade 0, 1, 2, with age", sub_glm(lung, "seen", "sex", "ecog", "age"))

# ---- Firth: brglm2 for the estimate; limits and p by profiling, ten lines from Heinze and Schemper (2002), no logistf in Debian
firth <- function(y, x, j, level = 0.95) {
  pen <- function(beta) { p <- plogis(x %*% beta)[, 1]
    sum(dbinom(y, 1, p, log = TRUE)) + 0.5 * determinant(crossprod(x * sqrt(p * (1 - p))))$modulus[1] }
  top <- coef(glm(y ~ 0 + x, family = binomial, method = "brglmFit", type = "AS_mean", epsilon = 1e-12, maxit = 1000)); best <- pen(top)
  profile <- function(v) {                             # best penalized likelihood with coefficient j held at v
    f <- function(free) { beta <- numeric(ncol(x)); beta[j] <- v; beta[-j] <- free; v <- -pen(beta); if (is.finite(v)) v else 1e10 }
    start <- unname(top[-j]); if (!length(start)) return(pen(v))
    for (i in 1:6) start <- optim(start, f, method = if (i %% 2 && length(start) > 1) "Nelder-Mead" else "BFGS",
                                  control = list(reltol = 1e-15, maxit = 5000))$par
    -f(start)
  }
  edge <- function(v) 2 * (best - profile(v)) - qchisq(level, 1); far <- 12
  c(exp(c(top[j], uniroot(edge, c(top[j] - far, top[j]), tol = 1e-10)$root, uniroot(edge, c(top[j], top[j] + far), tol = 1e-10)$root)),
    pchisq(2 * (best - profile(0)), 1, lower.tail = FALSE))
}
X <- function(f, d) { x <- model.matrix(f, d); x[, -1] <- scale(x[, -1], scale = FALSE); x[, 1] <- 1; x }
k <- kutner; k$g <- factor(k$group, levels = c(3, 2, 1)); s <- stroke; s$g <- factor(s$Group, levels = c("C", "B", "A"))
keep("firth.kutner", "brglm2 AS_mean, profile penalized likelihood: y > 32 ~ group (no one in group 3): 1-3, 2-3",
     rows = rows(list(firth(k$long, X(~g, k), 3), firth(k$long, X(~g, k), 2))))
keep("firth.stroke", "the same: good ~ Group + week1: A-C, B-C, level 0.95; then A-C at 0.90",
     rows = rows(list(firth(s$good, X(~ g + week1, s), 3), firth(s$good, X(~ g + week1, s), 2), firth(s$good, X(~ g + week1, s), 3, 0.9))))
keep("firth.lung", "the same: seen ~ sex + age: 2-1", rows = rows(list(firth(lung$seen, X(~ I(sex - 1) + age, lung), 2))))

# ---- the docstrings' numbers ----------------------------------------------------------------------------------------
d <- data.frame(better = c(1, 1, 0, 1, 0, 1, 0, 0, 1, 0, 0, 0), age = c(50, 61, 58, 70, 66, 49, 73, 80, 52, 69, 64, 75), arm = rep(1:0, each = 6))
e <- data.frame(y = c(0, 2, 1, 5, 0, 9, 1, 3), days = c(30, 30, 28, 30, 21, 30, 30, 30), arm = rep(0:1, each = 4))
o <- data.frame(grade = factor(c(1, 2, 2, 3, 3, 3, 1, 1, 2, 2, 1, 3), ordered = TRUE), arm = rep(1:0, each = 6))
i <- data.frame(y = c(3, 5, 4, 8, 9, 7, 6, 5, 2, 4, 3, 3), arm = rep(c(0, 0, 1), 4), sub = rep(0:1, each = 6))
separated <- data.frame(y = c(0, 0, 0, 1, 1, 1, 1, 1), arm = rep(0:1, each = 4))
keep("docstrings", "as named", risk = standard(better ~ arm + age, d, "arm", 1, 0), count = ratio(nb(y ~ arm + offset(log(days)), e), c(0, 1)),
     ordinal = odds(grade ~ arm, o, 1), sub = unlist(sub_lm(i, "y", "arm", "sub", NULL)), firth = firth(separated$y, X(~arm, separated), 2))

versions <- c(R = paste(R.version$major, R.version$minor, sep = "."),
              sapply(c("MASS", "ordinal", "brglm2", "sandwich"), function(p) as.character(packageVersion(p))))
write_json(list(versions = as.list(versions), cases = cases), "expected.json", digits = NA, auto_unbox = TRUE,
           na = "string", pretty = TRUE, matrix = "rowmajor")
