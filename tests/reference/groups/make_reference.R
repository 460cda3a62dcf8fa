# Reference values for the comparisons of two and more groups in therapyeval.stats.
# Run in this folder:  Rscript make_reference.R REAL_DATA_FOLDER     (only results leave that folder, never rows)
# Debian: r-base-core r-cran-jsonlite -rstatix -effectsize -proc
suppressMessages({ library(jsonlite); library(effectsize); library(pROC) })
real <- commandArgs(TRUE)[1]
cases <- list()
keep <- function(id, call, ...) cases[[id]] <<- list(call = call, values = lapply(list(...), unname))
rows <- function(l) do.call(rbind, l)

stroke <- read.csv("../stats/stroke.csv"); stroke$change <- stroke$week8 - stroke$week1
kutner <- read.csv("../stats/kutner.csv"); lung <- read.csv("../stats/lung.csv")
a <- read.csv(file.path(real, "acupuncture_headache/acupuncture.csv"), fileEncoding = "UTF-8-BOM")
a <- a[!is.na(a$pk5), ]; a$change <- a$pk5 - a$pk1
k <- split(kutner$y, kutner$group); s <- split(stroke$change, stroke$Group); h <- split(a$pk5, 1 - a$group)
l <- split(lung$age, lung$sex)                                       # ages: many ties
untied <- list(c(1.1, 2.3, 3.8, 4.2, 5.9, 7.4), c(0.4, 1.7, 2.9, 3.1, 3.3))        # written down for this file
jitter <- lapply(k, function(y) y + seq_along(y) / 97 + y^2 / 1000)                # kutner days, ties broken by formula

# ---- Student t and paired t: t.test(var.equal = TRUE), t.test(paired = TRUE) ----------------------------------------
student <- function(x, y, level = 0.95) {
  t <- t.test(x, y, var.equal = TRUE, conf.level = level)
  c(t$estimate[1] - t$estimate[2], t$conf.int, t$p.value, t$parameter)
}
keep("student.kutner", "t.test(var.equal = TRUE): 1-2, 1-3", rows = rows(list(student(k[[1]], k[[2]]), student(k[[1]], k[[3]]))))
keep("student.stroke_90", "t.test(var.equal = TRUE) of week8 - week1: A-B, A-C, level 0.90",
     rows = rows(list(student(s$A, s$B, 0.9), student(s$A, s$C, 0.9))))
keep("student.acupuncture", "t.test(var.equal = TRUE) of pk5: control - acupuncture", rows = rows(list(-student(h[[1]], h[[2]]))))
cases[["student.acupuncture"]]$values$rows <- rows(list(student(h[[2]], h[[1]])))
paired <- function(x, y, level = 0.95) {
  t <- t.test(x, y, paired = TRUE, conf.level = level); c(t$estimate, t$conf.int, t$p.value, t$parameter)
}
keep("paired.stroke", "t.test(week8, week1, paired = TRUE) by Group",
     rows = rows(lapply(split(stroke, stroke$Group), function(d) paired(d$week8, d$week1))))
keep("paired.acupuncture", "t.test(pk5, pk1, paired = TRUE) by group 0, 1",
     rows = rows(lapply(split(a, a$group), function(d) paired(d$pk5, d$pk1))))

# ---- ranks: wilcox.test(conf.int = TRUE, tol.root = 1e-12) ----------------------------------------------------------
# its estimate under the normal approximation is a root in a flat stretch, so the median of the differences is kept
w_row <- function(w, estimate) c(estimate, w$conf.int, w$p.value)
mw <- function(x, y, exact, level = 0.95) suppressWarnings({
  w <- wilcox.test(x, y, conf.int = TRUE, exact = exact, conf.level = level, tol.root = 1e-12)
  stopifnot(exact || abs(w$estimate - median(outer(x, y, "-"))) <= 5); w_row(w, median(outer(x, y, "-")))
})
sr <- function(d, exact, level = 0.95) suppressWarnings({
  w <- wilcox.test(d, conf.int = TRUE, exact = exact, conf.level = level, tol.root = 1e-12)
  d <- d[d != 0]; walsh <- outer(d, d, "+") / 2; w_row(w, median(walsh[!lower.tri(walsh)]))
})
keep("mw.exact", "wilcox.test(exact = TRUE): the untied lists, then kutner with ties broken 1-2, 1-3, 2-3",
     first = untied[[1]], second = untied[[2]],
     rows = rows(list(mw(untied[[1]], untied[[2]], TRUE), mw(jitter[[1]], jitter[[2]], TRUE),
                      mw(jitter[[1]], jitter[[3]], TRUE), mw(jitter[[2]], jitter[[3]], TRUE))))
keep("mw.kutner", "wilcox.test(exact = FALSE): 1-2, 1-3", rows = rows(list(mw(k[[1]], k[[2]], FALSE), mw(k[[1]], k[[3]], FALSE))))
keep("mw.stroke_90", "the same, week8 - week1: A-B, A-C, level 0.90",
     rows = rows(list(mw(s$A, s$B, FALSE, 0.9), mw(s$A, s$C, FALSE, 0.9))))
keep("mw.acupuncture", "the same, pk5: control - acupuncture", rows = rows(list(mw(h[[2]], h[[1]], FALSE))))
keep("mw.lung_age", "the same, age: sex 1 - sex 2", rows = rows(list(mw(l[[1]], l[[2]], FALSE))))
gains <- c(5.1, 2.3, 9.8, -1.2, 6.4, 12.5, -3.3, 7.7, 0.6)
keep("sr.exact", "wilcox.test(exact = TRUE), one sample; level 0.95, then 0.90", gains = gains,
     rows = rows(list(sr(gains, TRUE), sr(gains, TRUE, 0.9))))
keep("sr.stroke", "wilcox.test(exact = FALSE) of week8 - week1 by Group", rows = rows(lapply(s, sr, FALSE)))
keep("sr.acupuncture", "the same, pk5 - pk1 by group 0, 1", rows = rows(lapply(split(a$change, a$group), sr, FALSE)))

# ---- several groups -------------------------------------------------------------------------------------------------
f_row <- function(t) c(t$statistic, t$parameter, t$p.value)
anova_row <- function(y, g) f_row(oneway.test(y ~ factor(g), var.equal = TRUE))
welch_row <- function(y, g) f_row(oneway.test(y ~ factor(g)))
kw_row <- function(y, g) f_row(kruskal.test(y, factor(g)))
keep("omnibus", "oneway.test(var.equal = TRUE), oneway.test, kruskal.test: kutner y by group, stroke change by Group, lung age by ecog",
     anova = rows(list(anova_row(kutner$y, kutner$group), anova_row(stroke$change, stroke$Group), anova_row(lung$age, lung$ecog))),
     welch = rows(list(welch_row(kutner$y, kutner$group), welch_row(stroke$change, stroke$Group), welch_row(lung$age, lung$ecog))),
     kruskal = rows(list(kw_row(kutner$y, kutner$group), kw_row(stroke$change, stroke$Group), kw_row(lung$age, lung$ecog))))
# TukeyHSD and rstatix use qtukey, which stops at four digits: ptukey is inverted here instead; TukeyHSD is the check
range_q <- function(level, k, df) uniroot(function(q) ptukey(q, k, df) - level, c(0.01, 60), tol = 1e-13)$root
range_row <- function(d, se, k, df, level = 0.95)
  c(d, d - range_q(level, k, df) / sqrt(2) * se, d + range_q(level, k, df) / sqrt(2) * se,
    ptukey(abs(d) / se * sqrt(2), k, df, lower.tail = FALSE), df)
hsd <- function(y, g, level = 0.95) {
  g <- factor(g); m <- aov(y ~ g); df <- df.residual(m); ms <- deviance(m) / df; n <- table(g); mean <- tapply(y, g, mean)
  pairs <- combn(levels(g), 2)
  out <- t(apply(pairs, 2, function(p) range_row(mean[[p[1]]] - mean[[p[2]]], sqrt(ms * sum(1 / n[p])), nlevels(g), df, level)))
  check <- -TukeyHSD(m, conf.level = level)$g[, c(1, 3, 2)]; stopifnot(max(abs(check - out[, 1:3])) < 1e-3)
  out
}
gh <- function(y, g, level = 0.95) {                  # Games and Howell (1976), ten lines; rstatix is the check
  g <- factor(g); v <- tapply(y, g, var) / table(g); n <- table(g); mean <- tapply(y, g, mean); pairs <- combn(levels(g), 2)
  out <- t(apply(pairs, 2, function(p) range_row(mean[[p[1]]] - mean[[p[2]]], sqrt(sum(v[p])), nlevels(g),
                                                  sum(v[p])^2 / sum(v[p]^2 / (n[p] - 1)), level)))
  check <- as.data.frame(rstatix::games_howell_test(data.frame(y, g), y ~ g, conf.level = level))
  stopifnot(max(abs(-check[, c("estimate", "conf.high", "conf.low")] - out[, 1:3])) < 1e-3 * max(abs(out[, 1:3])))
  out
}
dunn <- function(y, g) {                              # rstatix::dunn_test has second minus first
  d <- as.data.frame(rstatix::dunn_test(data.frame(y, g = factor(g)), y ~ g, p.adjust.method = "holm", detailed = TRUE))
  se <- d$estimate / d$statistic
  cbind(-d$estimate, -d$estimate - qnorm(0.975) * se, -d$estimate + qnorm(0.975) * se, d$p, d$p.adj)
}
keep("tukey", "ptukey inverted to 1e-13, checked against TukeyHSD; pairs 1-2, 1-3, 2-3",
     kutner = hsd(kutner$y, kutner$group), stroke90 = hsd(stroke$change, stroke$Group, 0.9), lung = hsd(lung$age, lung$ecog))
keep("games_howell", "the formula with ptukey inverted, checked against rstatix::games_howell_test",
     kutner = gh(kutner$y, kutner$group), stroke90 = gh(stroke$change, stroke$Group, 0.9), lung = gh(lung$age, lung$ecog))
keep("dunn", "rstatix::dunn_test(detailed = TRUE): estimate, limits from its statistic, p, p.adj (Holm)",
     kutner = dunn(kutner$y, kutner$group), stroke = dunn(stroke$change, stroke$Group), lung = dunn(lung$age, lung$ecog))
keep("range_p", "ptukey(q, k, df, lower.tail = FALSE)", q = c(0.5, 2, 3.5, 6, 4, 3), k = c(2, 3, 3, 5, 8, 4), df = c(6, 3.7, 21, 240, 12, 20000),
     p = ptukey(c(0.5, 2, 3.5, 6, 4, 3), c(2, 3, 3, 5, 8, 4), c(6, 3.7, 21, 240, 12, 20000), lower.tail = FALSE))

# ---- effect sizes: effectsize for the estimate; its limits stop optim early, so pt(ncp) is inverted here -----------
ncp <- function(t, df, level) sapply(c((1 + level) / 2, (1 - level) / 2), function(p)
  uniroot(function(d) pt(t, df, d) - p, c(t - 10, t + 10), tol = 1e-13)$root)
std <- function(f, x, y, level = 0.95) {
  e <- as.data.frame(f(x, y, ci = level)); delta <- identical(f, glass_delta); n <- c(length(x), length(y))
  df <- if (delta) n[2] - 1 else sum(n) - 2
  root <- if (delta) sqrt(1 / n[2] + var(x) / (n[1] * var(y))) else sqrt(sum(1 / n))
  j <- if (identical(f, hedges_g)) exp(lgamma(df / 2) - log(sqrt(df / 2)) - lgamma((df - 1) / 2)) else 1
  t <- e[[1]] / j / root; out <- c(e[[1]], ncp(t, df, level) * root * j, 2 * pt(-abs(t), df), df)
  stopifnot(abs(out[2:3] - c(e$CI_low, e$CI_high)) < 2e-3); out
}
three <- function(x, y, level = 0.95) rows(lapply(list(cohens_d, hedges_g, glass_delta), std, x, y, level))
keep("standardized", "effectsize::cohens_d, hedges_g, glass_delta; limits by inverting pt(ncp), checked against effectsize",
     kutner13 = three(k[[1]], k[[3]]), stroke90 = three(s$A, s$B, 0.9), acupuncture = three(h[[2]], h[[1]]))
win <- function(x, y, level = 0.95) {       # pROC: area and DeLong variance; logit limits by hand
  r <- roc(rep(0:1, c(length(y), length(x))), c(y, x), direction = "<", quiet = TRUE)
  A <- as.numeric(auc(r)); se <- sqrt(var(r, method = "delong")) / (A * (1 - A))
  c(A, plogis(qlogis(A) + c(-1, 1) * qnorm((1 + level) / 2) * se), 2 * pnorm(-abs(qlogis(A) / se)))
}
keep("superiority", "pROC::auc, pROC::var(method = 'delong'), logit limits: kutner 1-2, 2-3; stroke A-B; acupuncture; lung age",
     rows = rows(list(win(k[[1]], k[[2]]), win(k[[2]], k[[3]]), win(s$A, s$B), win(h[[2]], h[[1]]), win(l[[1]], l[[2]]))))

# ---- the docstrings' numbers ----------------------------------------------------------------------------------------
y <- c(29, 42, 38, 40, 43, 30, 35, 39, 28, 26, 32, 21, 20, 23); g <- rep(1:3, c(5, 4, 5))
y2 <- c(29, 42, 38, 40, 26, 32, 21, 20, 23, 22); g2 <- rep(1:2, c(4, 6))
keep("docstrings", "as named", student = student(k[[1]], k[[3]]), paired = paired(c(25, 33, 28, 46), c(20, 31, 28, 40)),
     mw = mw(c(29, 42, 38, 40, 43), c(26, 32, 21, 20), TRUE), sr = sr(c(5, 2, 9, -1, 6, 12), TRUE),
     anova = anova_row(y2, g2), welch = welch_row(y2, g2), tukey = hsd(y, g), gh = gh(y, g),
     g = std(hedges_g, c(29, 42, 38, 40, 43, 40, 30, 42), c(26, 32, 21, 20, 23, 22)),
     win = win(c(29, 42, 38, 40, 25), c(26, 32, 21, 20, 23)), range = c(ptukey(3.5649, 3, 21, lower.tail = FALSE), range_q(0.95, 3, 21)))

versions <- c(R = paste(R.version$major, R.version$minor, sep = "."),
              sapply(c("rstatix", "effectsize", "pROC"), function(p) as.character(packageVersion(p))))
write_json(list(versions = as.list(versions), cases = cases), "expected.json", digits = NA, auto_unbox = TRUE,
           na = "null", pretty = TRUE, matrix = "rowmajor")
