# Reference values for Aalen-Johansen shares, exact binomial ratios and bootstrap intervals.
# Run in this folder:  Rscript make_reference.R
# Debian: r-base-core r-recommended r-cran-jsonlite r-cran-cmprsk
suppressMessages({ library(survival); library(cmprsk); library(boot); library(jsonlite) })
cases <- list()
keep <- function(id, call, ...) cases[[id]] <<- list(call = call, values = lapply(list(...), unname))

# ---- inputs ----------------------------------------------------------------------------------------------------
m <- survival::mgus2
m$stop <- with(m, ifelse(pstat == 0, futime, ptime))
m$cause <- with(m, ifelse(pstat == 1, 1, ifelse(death == 1, 2, 0)))
m <- m[order(m$id), c("id", "sex", "stop", "cause")]
m <- m[seq(1, nrow(m), 4), ]
write.csv(m, "mgus2.csv", row.names = FALSE, quote = FALSE)
set.seed(20261122)                       # visits until a stop: many ties, every kind of end at one visit
v <- data.frame(clinic = rep(0:3, c(60, 25, 12, 4)))
v$visits <- 1 + rpois(nrow(v), 4); v$cause <- sample(c(0, 1, 2, 2), nrow(v), TRUE)
write.csv(v, "visits.csv", row.names = FALSE, quote = FALSE)
s <- data.frame(patient = c(1:30, 1:10), x0 = round(rnorm(40, 40, 12)), d = round(rnorm(40, 9, 11)))
write.csv(s, "change.csv", row.names = FALSE, quote = FALSE)

# ---- Aalen-Johansen: survfit of a factor, log-log; the estimate also by cmprsk::cuminc ---------------------------
aj <- function(time, cause, at, level = 0.95) {
  f <- survfit(Surv(time, factor(cause, 0:2, c("censor", "stop", "other"))) ~ 1, conf.type = "log-log",
               conf.int = level)
  k <- summary(f, times = at, extend = TRUE)
  state <- which(f$states == "stop")
  c(k$pstate[, state], k$lower[, state], k$upper[, state], k$std.err[, state])
}
table_of <- function(data, time, by, at, level = 0.95) {
  do.call(rbind, lapply(split(data, data[[by]]), function(g) do.call(rbind, lapply(at, function(k)
    aj(g[[time]], g$cause, k, level)))))
}
cif <- function(data, time, by, at) {
  found <- cuminc(data[[time]], data$cause, data[[by]], cencode = 0)
  found <- found[grepl(" 1$", names(found))]
  as.vector(t(timepoints(found, at)$est))
}
keep("aj.mgus2", "survfit(Surv(stop, factor(cause)) ~ 1, conf.type = 'log-log') by sex F, M at 24, 120, 240",
     rows = table_of(m, "stop", "sex", c(24, 120, 240)), cuminc = cif(m, "stop", "sex", c(24, 120, 240)))
keep("aj.visits", "the same, visits by clinic 0-3 at 3, 5, 8", rows = table_of(v, "visits", "clinic", c(3, 5, 8)),
     cuminc = cif(v, "visits", "clinic", c(3, 5, 8)))
keep("aj.visits_90", "the same at 4, level 0.90", rows = table_of(v, "visits", "clinic", 4, 0.9))

# ---- whole curves: survfit at every time, checked against cuminc ---------------------------------------------------
curve <- function(data, time, by, level = 0.95) do.call(rbind, lapply(seq_along(g <- split(data, data[[by]])), function(i) {
  d <- g[[i]]; f <- survfit(Surv(d[[time]], factor(d$cause, 0:2, c("censor", "stop", "other"))) ~ 1, conf.type = "log-log", conf.int = level)
  k <- which(f$states == "stop"); o <- which(f$states == "other")
  stopifnot(all.equal(f$pstate[, k], c(timepoints(cuminc(d[[time]], d$cause, cencode = 0)["1 1"], f$time)$est), tolerance = 1e-10))
  cbind(i - 1, f$time, f$n.risk[, 1], f$n.event[, k], f$n.event[, o], f$pstate[, k], f$lower[, k], f$upper[, k]) }))
call <- "survfit of a factor, conf.type = 'log-log', checked against cmprsk::cuminc: group, time, n.risk, events, others, share, limits;"
keep("curve.mgus2", paste(call, "by sex F, M"), rows = curve(m, "stop", "sex"))
keep("curve.visits", paste(call, "by clinic 0-3, level 0.90"), rows = curve(v, "visits", "clinic", 0.9))

# ---- exact binomial ratio: binom.test(N, N + N0), p / (1 - p) - 1 --------------------------------------------------
growth <- function(n, n0, level = 0.95) {
  p <- binom.test(n, n + n0, conf.level = level)$conf.int
  c(n / n0 - 1, p / (1 - p) - 1)
}
keep("growth", "binom.test of 90, 75; 3, 8; 0, 5; 40, 2 (level 0.90)",
     rows = rbind(growth(90, 75), growth(3, 8), growth(0, 5), growth(40, 2, 0.9)))

# ---- bootstrap of patients: 20 000 resamples -----------------------------
cluster_boot <- function(data, statistic) {
  parts <- split(data, data$patient)
  b <- boot(seq_along(parts), function(ids, i) statistic(do.call(rbind, parts[i])), R = 20000)
  c(b$t0, quantile(b$t, c(0.025, 0.975), type = 7))
}
effect <- function(d) mean(d$d) / sd(d$x0)
srm <- function(d) mean(d$d) / sd(d$d)
keep("bootstrap", "boot of patients, R = 20 000: mean(d)/sd(x0), mean(d)/sd(d)",
     rows = rbind(cluster_boot(s, effect), cluster_boot(s, srm)))
set.seed(20261123)
keep("bootstrap.plain", "boot of patients, R = 20 000: mean(d), median(d), sum(d)/sum(x0)",
     rows = rbind(cluster_boot(s, function(d) mean(d$d)), cluster_boot(s, function(d) median(d$d)),
                  cluster_boot(s, function(d) sum(d$d) / sum(d$x0))))

packages <- c("survival", "cmprsk", "boot")
versions <- c(R = paste(R.version$major, R.version$minor, sep = "."),
              sapply(packages, function(p) as.character(packageVersion(p))))
write_json(list(versions = as.list(versions), cases = cases), "expected.json", digits = NA, auto_unbox = TRUE,
           na = "string", pretty = TRUE, matrix = "rowmajor")
