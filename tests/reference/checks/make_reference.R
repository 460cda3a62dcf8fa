# Reference values for the checks of models in therapyeval.stats.
# Run in this folder:  Rscript make_reference.R REAL_DATA_FOLDER     (only results leave that folder, never rows)
# Debian: r-base-core r-cran-jsonlite -lmtest -e1071 -emmeans
suppressMessages({ library(jsonlite); library(lmtest); library(e1071); library(emmeans) })
real <- commandArgs(TRUE)[1]
cases <- list()
keep <- function(id, call, ...) cases[[id]] <<- list(call = call, values = lapply(list(...), unname))

stroke <- read.csv("../stats/stroke.csv"); stroke$change <- stroke$week8 - stroke$week1
kutner <- read.csv("../stats/kutner.csv"); kutner$group <- factor(kutner$group)
falls <- read.csv("../models/falls.csv"); p <- read.csv(file.path(real, "pedalfast_tbi/pedalfast.csv"))
a <- read.csv(file.path(real, "acupuncture_headache/acupuncture.csv"), fileEncoding = "UTF-8-BOM")
a <- a[!is.na(a$pk5), ]

# ---- residuals of lm: skewness (m3 / m2^1.5), Shapiro-Wilk, studentized Breusch-Pagan, largest Cook's distance --------
checks <- function(id, call, fit) {
  r <- residuals(fit); w <- shapiro.test(r); b <- bptest(fit)
  keep(id, call, skewness = skewness(r, type = 1), normality = c(w$statistic, w$p.value),
       spread = c(b$statistic, b$parameter, b$p.value), influence = max(cooks.distance(fit)))
}
checks("residuals.kutner", "lm(y ~ factor(group)): e1071::skewness(type = 1), shapiro.test, lmtest::bptest, max(cooks.distance)",
       lm(y ~ group, kutner))
checks("residuals.stroke", "lm(week8 - week1 ~ Group)", lm(change ~ Group, stroke))
checks("residuals.stroke_ancova", "lm(week8 - week1 ~ Group + week1)", lm(change ~ Group + week1, stroke))
checks("residuals.acupuncture_ancova", "lm(pk5 ~ group + pk1 + age + factor(sex))", lm(pk5 ~ group + pk1 + age + factor(sex), a))

# ---- smallest expected count: chisq.test()$expected ------------------------------------------------------------------
expected <- function(x, n) min(suppressWarnings(chisq.test(rbind(x, n - x)))$expected)
keep("expected.two", "min(chisq.test()$expected), 3 of 20, 9 of 25", smallest = expected(c(3, 9), c(20, 25)))
keep("expected.three", "min(chisq.test()$expected), 18 of 20, 9 of 12, 30 of 31", smallest = expected(c(18, 9, 30), c(20, 12, 31)))

# ---- dispersion of a Poisson model: sum(residuals(type = "pearson")^2) / df.residual --------------------------------
pearson <- function(fit) sum(residuals(fit, "pearson")^2) / df.residual(fit)
keep("dispersion.pedalfast", "glm(hosplos ~ injurymech + age, poisson)", dispersion = pearson(glm(hosplos ~ injurymech + age, poisson, p)))
keep("dispersion.falls", "glm(falls ~ program + ward + offset(log(days)), poisson), made-up falls",
     dispersion = pearson(glm(falls ~ program + ward + offset(log(days)), poisson, falls)))

# ---- an adjusted difference in pooled SDs: emmeans::eff_size with sigma the pooled SD of the groups, known ------------
# Hedges' factor is multiplied afterwards; limits: sigma without uncertainty (edf = Inf)
adjusted_g <- function(fit, factor_name, sigma, edf_factor) {
  e <- emmeans(fit, factor_name); s <- summary(eff_size(e, sigma = sigma, edf = Inf, method = "revpairwise"), infer = TRUE)
  j <- exp(lgamma(edf_factor / 2) - log(edf_factor / 2) / 2 - lgamma((edf_factor - 1) / 2))
  c(s$effect.size[1], s$lower.CL[1], s$upper.CL[1]) * j
}
pooled <- function(y, g) { v <- tapply(y, g, var); n <- table(g); sqrt(sum((n - 1) * v) / sum(n - 1)) }
keep("adjusted_g.acupuncture", "emmeans::eff_size(lm(pk5 ~ group + pk1), sigma = pooled SD, edf = Inf) * J: 1 - 0",
     rows = adjusted_g(lm(pk5 ~ factor(group) + pk1, a), "group", pooled(a$pk5, a$group), nrow(a) - 2),
     sd = pooled(a$pk5, a$group))
two <- droplevels(stroke[stroke$Group != "B", ]); two$Group <- factor(two$Group)
keep("adjusted_g.stroke", "emmeans::eff_size(lm(week8 - week1 ~ Group + week1), sigma = pooled SD, edf = Inf) * J: C - A",
     rows = adjusted_g(lm(change ~ Group + week1, two), "Group", pooled(two$change, two$Group), nrow(two) - 2),
     sd = pooled(two$change, two$Group))

versions <- c(R = paste(R.version$major, R.version$minor, sep = "."),
              sapply(c("lmtest", "e1071", "emmeans"), function(p) as.character(packageVersion(p))))
write_json(list(versions = as.list(versions), cases = cases), "expected.json", digits = NA, auto_unbox = TRUE, pretty = TRUE)
