# Reference values for lines over time (mixed_lines, gee_lines) in therapyeval.stats.
# Run in this folder:  Rscript make_reference.R REAL_DATA_FOLDER     (only results leave that folder, never rows)
# Debian: r-base-core r-cran-jsonlite -lme4 -lmertest -geepack
suppressMessages({ library(jsonlite); library(lme4); library(lmerTest); library(geepack) })
lmer <- lmerTest::lmer; real <- commandArgs(TRUE)[1]; cases <- list()
keep <- function(id, call, ...) cases[[id]] <<- list(call = call, values = lapply(list(...), unname))
rows <- function(l) do.call(rbind, l)

stroke <- read.csv("../stats/stroke_long.csv"); stroke <- stroke[order(stroke$Subject, stroke$week), ]
few <- stroke[!(stroke$Subject %in% c(3, 8, 14, 20) & stroke$week > 5) & !(stroke$Subject == 11 & stroke$week == 4), ]   # made-up dropout
h <- read.csv(file.path(real, "acupuncture_headache/acupuncture.csv"), fileEncoding = "UTF-8-BOM")
h <- reshape(h[, c("id", "group", "age", "migraine", "pk1", "pk2", "pk5")], direction = "long", varying = c("pk1", "pk2", "pk5"),
             v.names = "pk", timevar = "month", times = c(0, 3, 12), idvar = "id")
h <- h[!is.na(h$pk), ]; h <- h[order(h$id, h$month), ]
h$age <- h$age - mean(h$age); h$migraine <- h$migraine - mean(h$migraine)               # so that the start is that of average covariates

# ---- the rows wanted: starts of the groups, slopes of the groups, differences of slopes ------------------------------
line <- function(names, first, others, time, pairs) {        # weights of the coefficients of outcome ~ group * time + covariates
  L <- function(...) { w <- setNames(rep(0, length(names)), names); given <- c(...); stopifnot(names(given) %in% names); w[names(given)] <- given; w }
  one <- function(...) setNames(1, paste0(...))
  own <- lapply(others, function(g) c(L(one("(Intercept)"), one(g)), NULL)); sl <- lapply(others, function(g) L(one(time), one(g, ":", time)))
  start <- c(list(L(one("(Intercept)"))), own); slope <- c(list(L(one(time))), sl)
  c(start, slope, lapply(pairs, function(p) slope[[p[1]]] - slope[[p[2]]]))
}
satterthwaite <- function(m, L, level = 0.95) rows(lapply(L, function(l) { r <- contest(m, l, joint = FALSE, confint = TRUE, level = level)
  unlist(r[c("Estimate", "lower", "upper", "Pr(>|t|)", "df")]) }))
tight <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 2e-3, rhoend = 1e-11, maxfun = 1e5), calc.derivs = FALSE, check.conv.singular = "ignore")
fit <- function(f, d, reml = TRUE) { m <- lmer(f, d, REML = reml, control = lmerControl(calc.derivs = FALSE)); lmer(f, d, REML = reml, control = tight, start = getME(m, "theta")) }
call <- "lmerTest::lmer, tightened, contest(confint = TRUE): starts, slopes, differences of slopes;"
m <- fit(ability ~ Group * week + (1 | Subject), stroke, FALSE)
keep("mixed.stroke_ml", paste(call, "ability ~ Group * week + (1 | Subject), ML: A, B, C; B - A, C - A"),
     rows = satterthwaite(m, line(names(fixef(m)), "A", c("GroupB", "GroupC"), "week", list(2:1, c(3, 1)))))
m <- fit(pk ~ group * month + age + migraine + (month | id), h)
keep("mixed.headache", paste(call, "pk ~ group * month + age + migraine + (month | id), REML, months 0, 3, 12, level 0.90: 0, 1; 1 - 0"),
     rows = satterthwaite(m, line(names(fixef(m)), "0", "group", "month", list(2:1)), 0.9))

# ---- GEE: geepack, iterated to the end; Mancl and DeRouen (2001) by hand ---------------------------------------------
gee <- function(f, d, id, corstr, waves) { d$.id <- d[[id]]; d$.w <- as.integer(d[[waves]])
  m <- geeglm(f, data = d, id = .id, waves = .w, corstr = corstr, control = geese.control(epsilon = 1e-13, maxit = 500)); m$rows <- d; m }
md <- function(m) { X <- model.matrix(m); alpha <- if (length(m$geese$alpha)) m$geese$alpha else 0; id <- m$rows$.id; e <- m$y - c(fitted(m))
  W <- lapply(split(m$rows$.w, id), function(w) solve(if (m$corstr == "ar1") alpha^abs(outer(w, w, "-")) else alpha + diag(1 - alpha, length(w))))
  each <- function(h) Reduce(`+`, lapply(unique(id), function(g) { k <- which(id == g); h(X[k, , drop = FALSE], W[[as.character(g)]], e[k]) }))
  C <- solve(each(function(x, w, r) t(x) %*% w %*% x))
  C %*% each(function(x, w, r) tcrossprod(t(x) %*% w %*% solve(diag(length(r)) - x %*% C %*% t(x) %*% w, r))) %*% C }
tests <- function(m, V, L, df = Inf, level = 0.95) rows(lapply(L, function(l) { e <- sum(l * coef(m)); se <- sqrt(c(l %*% V %*% l))
  c(e + c(0, -1, 1) * qt((1 + level) / 2, df) * se, 2 * pt(-abs(e / se), df), if (is.finite(df)) df else NA) }))
put <- function(id, call, m, L, level = 0.95) { G <- length(unique(m$rows$.id))
  keep(id, paste("geepack::geeglm; Mancl-DeRouen by hand:", call), robust = tests(m, m$geese$vbeta, L, level = level),
       scaled = tests(m, m$geese$vbeta * G / (G - 1), L, level = level), mancl_derouen = tests(m, md(m), L, G - length(coef(m)), level)) }
m <- gee(ability ~ Group * week, stroke, "Subject", "independence", "week"); L <- line(names(coef(m)), "A", c("GroupB", "GroupC"), "week", list(2:1, c(3, 1)))
put("gee.stroke", "ability ~ Group * week by Subject, independence: starts and slopes of A, B, C; slopes B - A, C - A", m, L)
m <- gee(ability ~ Group * week, few, "Subject", "ar1", "week")
put("gee.stroke_dropout", "the same, ar1, made-up dropout", m, L)
m <- gee(pk ~ group * month + age + migraine, h, "id", "exchangeable", "month")
put("gee.headache", "pk ~ group * month + age + migraine by id, exchangeable, level 0.90: 0, 1; 1 - 0", m, line(names(coef(m)), "0", "group", "month", list(2:1)), 0.9)

# ---- the examples in docstrings --------------------------------------------------------------------------------------
e1 <- data.frame(y = c(10, 15, 19, 20, 22, 27, 14, 15, 18, 9, 13, 13), who = rep(1:4, each = 3), week = rep(0:2, 4)); e1$arm <- factor(e1$who > 2, labels = c("a", "b"))
m <- fit(y ~ arm * week + (week | who), e1); keep("example.mixed", "lmer", rows = satterthwaite(m, line(names(fixef(m)), "a", "armb", "week", list(1:2))))
e2 <- data.frame(y = c(e1$y, 11, 12, 19, 8, 9, 9, 12, 12, 14, 7, 8, 12), who = rep(1:8, each = 3), week = rep(0:2, 8)); e2$arm <- factor(e2$who > 4, labels = c("a", "b"))
m <- gee(y ~ arm * week, e2, "who", "exchangeable", "week"); keep("example.gee", "geeglm, Mancl-DeRouen by hand", rows = tests(m, md(m), line(names(coef(m)), "a", "armb", "week", list(1:2)), 4))

pk <- c("lme4", "lmerTest", "geepack")
versions <- c(R = paste(R.version$major, R.version$minor, sep = "."), sapply(pk, function(p) as.character(packageVersion(p))))
write_json(list(versions = as.list(versions), cases = cases), "expected.json", digits = NA, auto_unbox = TRUE, na = "string", pretty = TRUE, matrix = "rowmajor")
