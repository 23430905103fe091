/* SPDX-License-Identifier: MIT */
/* The chart in deploy/helm: rendered with several values, to the liking of Kubernetes' own schemas and of sluice check. */
#include "scratch_folder.h"
#include "shell_run.h"
#include "sl_test.h"

#define CHECK "$SOURCE/tests/deploy/helm/check.sh "
#define CHART "$SOURCE/deploy/helm/sluice "
#define README "$SOURCE/deploy/helm/sluice/README.md"
#define VALUES "$SOURCE/tests/deploy/helm/values/"

static void as_it_is(void **state)
{
    (void)state;
    shell_expect(CHECK CHART "2>&1", 0,
                 "7 objects, 0 problems: ConfigMap ConfigMap NetworkPolicy Secret Service ServiceAccount StatefulSet\n"
                 "good: 1 service");
    /* A token of its own, long enough; not the same for two. */
    shell_expect("sed -n 's/^  token: //p' rendered.yaml | base64 -d | wc -c", 0, "40\n");
    shell_expect("sed -n 's/^  token: //p' rendered.yaml >a; ./render " CHART "| sed -n 's/^  token: //p' | cmp -s a -",
                 1, "");
}

static void with_everything(void **state)
{
    (void)state;
    shell_expect(
        CHECK CHART VALUES "everything.yaml 2>&1", 0,
        "11 objects, 0 problems: ConfigMap ConfigMap ConfigMap NetworkPolicy PodDisruptionBudget PrometheusRule "
        "Service Service ServiceAccount ServiceMonitor StatefulSet\ngood: 2 services");
    /* The same alerts and dashboard as beside the chart. */
    shell_expect("cmp configs/sluice.json $SOURCE/deploy/grafana/sluice.json 2>&1 && echo same", 0, "same");
    shell_expect("python3 -c \"import yaml; print([o['spec'] for o in yaml.safe_load_all(open('rendered.yaml')) "
                 "if o and o['kind'] == 'PrometheusRule'] == [yaml.safe_load(open('$SOURCE/deploy/prometheus/"
                 "alerts.yml'))])\" 2>&1",
                 0, "True");
}

static void other_ways(void **state)
{
    (void)state;
    shell_expect(CHECK CHART VALUES "deployment.yaml 2>&1", 0,
                 "5 objects, 0 problems: ConfigMap ConfigMap Deployment Secret Service\ngood: 1 service");
    shell_expect("grep -c 'claim\\|topologySpread\\|serviceName:' rendered.yaml", 1, "0\n");
    shell_expect(CHECK CHART VALUES "borrowed.yaml 2>&1", 0, "8 objects, 0 problems: ConfigMap NetworkPolicy");
    shell_expect("grep 'name: market-data-config' rendered.yaml", 0, "configMap: ");
    shell_expect("sed -n '/^```yaml$/,/^```$/{/^```/!p}' " README
                 " >mine.yaml; RABBITMQ_PASSWORD=0123456789 " CHECK CHART "mine.yaml 2>&1",
                 0, "10 objects, 0 problems");
    /* Pods are replaced when the configuration changes, and only then. */
    shell_expect(
        "cp -RL " CHART
        "chart; for i in 1 2 3; do ./render chart | sed -n 's,.*checksum/config: ,,p' >sum$i; test $i = 1 "
        "|| sed -i s/BTC-USDT/BTC-USDC/ chart/values.yaml; done; ./render chart | sed -n 's,.*checksum/config: ,,p' "
        ">sum4; cmp sum1 sum2 && cmp sum3 sum4 && ! cmp -s sum2 sum3 && wc -c <sum4",
        0, "65\n");
}

/* A value that is wrong is told before anything is made of it. */
static void wrong_values(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"replicaCount: two", "/replicaCount must be integer"},
        {"kind: DaemonSet", "/kind must be equal to one of the allowed values"},
        {"admin: { port: 80 }", "/admin/port must be >= 1024"},
        {"admin: { token: { value: short } }", "/admin/token/value"},
        {"replicas: 3", "must NOT have additional properties"},
        {"image: { digest: 'sha256:1' }", "/image/digest must match pattern"},
        {"ports: [{ name: admin, port: 9000 }]", "/ports/0/name must NOT be valid"},
        {"persistence: { size: much }", "/persistence/size must match pattern"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char line[512];
        (void)snprintf(line, sizeof line, "echo \"%s\" >wrong.yaml; " CHECK CHART "wrong.yaml 2>&1", wrong[i][0]);
        shell_expect(line, 1, wrong[i][1]);
    }
    shell_expect("echo 'config: \"\"' >wrong.yaml; " CHECK CHART "wrong.yaml 2>&1", 1,
                 "config is empty and no existingConfigMap is named");
}

/* The checks above do look: a chart with each of these mistakes is refused. */
static void broken_charts(void **state)
{
    (void)state;
    static const char *const broken[][3] = {
        {"workload.yaml", "s/replicas: .*/replicas: many/", "/spec/replicas {\"type\":\"integer\"}"},
        {"workload.yaml", "s/revisionHistoryLimit/revisionsLimit/", "Kubernetes does not know .spec.revisionsLimit"},
        {"_pod.tpl", "s/automountServiceAccountToken/automountToken/", ".spec.template.spec.automountToken"},
        {"_pod.tpl", "s,/readyz,/ready,", "readinessProbe asks /ready"},
        {"_pod.tpl", "s/name: tmp, mountPath/name: temp, mountPath/", "a mount has no volume"},
        {"_pod.tpl", "s/add .Values.drainSeconds/sub .Values.drainSeconds/", "killed before it has drained"},
        {"_helpers.tpl", "s/trunc 46/trunc 63/", "names of pods are too long"},
        {"_helpers.tpl", "s/kubernetes.io.instance/kubernetes.io.of/", "labels are missing"},
        {"service.yaml", "s/targetPort: admin/targetPort: web/", "no such port"},
        {"networkpolicy.yaml", "s/policyTypes/policyKinds/", "Kubernetes does not know .spec.policyKinds"},
        {"configmap.yaml", "s/drain: /drian: /", "did you mean \"drain\""},
        {"monitoring.yaml", "s/credentials: /credential: /", ".spec.endpoints.0.authorization.credential"},
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        char line[512];
        (void)snprintf(line, sizeof line,
                       "rm -rf chart; cp -RL " CHART "chart; sed -i '%s' chart/templates/%s; " CHECK "chart " VALUES
                       "everything.yaml 2>&1; test $? -ne 0",
                       broken[i][1], broken[i][0]);
        shell_expect(line, 0, broken[i][2]);
    }
}

SL_TEST_MAIN(SCRATCH_CASE(as_it_is), SCRATCH_CASE(with_everything), SCRATCH_CASE(other_ways),
             SCRATCH_CASE(wrong_values), SCRATCH_CASE(broken_charts))
