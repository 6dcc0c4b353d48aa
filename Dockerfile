# The service and its offline jobs in one image: `docker build -t riskline .`, then `docker run -p 8080:8080 riskline`.
#
#   --build-arg MODEL=model.tar.gz   an archive or a folder in this folder is the model; without it, one is trained here
#                                    on the bundled applications
#   --build-arg BASE=…               another image with Python >= 3.11
#   --build-arg REQUIREMENTS=…       dynamodb: with boto3 too, for RISKLINE_STORE=dynamodb:…
#                                    traces: with what RISKLINE_TRACES=http://… needs
#                                    ray: with Ray, for deploy/kuberay and `score --engine ray`
#   --build-arg REVISION=…           the commit, for the label
#
# The same inputs give the same files, byte for byte; only their times differ. The times stay, because the model's is
# what /metrics says of its age. /opt/riskline/sbom.json lists what is in it.
ARG BASE=python:3.11-slim
ARG MODEL=

FROM ${BASE} AS environment
ARG REQUIREMENTS=serving
COPY requirements/${REQUIREMENTS}.txt /requirements/
# pip comes from the base and stays there. What is compiled now needs no writing at start, and by unchecked-hash holds no
# time of its source, so that it is the same in the next build
RUN python -m venv --without-pip /opt/riskline/environment \
    && pip --python /opt/riskline/environment/bin/python install --no-cache-dir --require-hashes --no-compile \
        -r /requirements/${REQUIREMENTS}.txt \
    && cd /opt/riskline/environment/lib/python3*/site-packages \
    && rm -rf pyarrow/include pyarrow/src pyarrow/tests pyarrow/*.pxd pyarrow/includes \
    && find . -type d -name tests -prune -exec rm -rf {} + \
    && ../../../bin/python -m compileall -q --invalidation-mode unchecked-hash .

FROM environment AS training
COPY requirements/training.txt /requirements/
RUN pip --python /opt/riskline/environment/bin/python install --no-cache-dir --require-hashes --no-compile \
        -r /requirements/training.txt
WORKDIR /opt/riskline/source
COPY decisions/ decisions/
COPY model/ model/
COPY preprocessing/ preprocessing/
RUN ../environment/bin/python -m model.train --out /opt/riskline/model

FROM environment AS application
WORKDIR /opt/riskline/application
COPY service.py ./
COPY serving/ serving/
COPY console/ console/
COPY decisions/ decisions/
# serving's part of model/, as bentofile.yaml lists it
COPY model/__init__.py model/artifact.py model/changes.py model/charts.py model/errors.py model/graph.py \
     model/intervals.py model/page.py model/places.py model/policy.py model/promote.py model/promotion.py \
     model/psi.py model/reference.py model/score.py model/storage.py model/
COPY preprocessing/ preprocessing/
# the features are inside the model's graph, decisions/labelled.py is for training, and the rest is the Lambda in front
RUN rm preprocessing/features.py decisions/labelled.py serving/aws_lambda.py serving/remote.py \
    && chmod -R u=rwX,go=rX . \
    && ../environment/bin/python -m compileall -q --invalidation-mode unchecked-hash .

FROM training AS model

FROM application AS given-model
ARG MODEL
# ADD, because it unpacks an archive and copies a folder
ADD ${MODEL} /opt/riskline/model/
RUN chmod -R u=rwX,go=rX /opt/riskline/model

FROM ${MODEL:+given-}model AS chosen-model

FROM application AS verified-model
COPY --from=chosen-model /opt/riskline/model/ /opt/riskline/model/
RUN ../environment/bin/python -m model.artifact /opt/riskline/model

FROM verified-model AS sbom
ARG REQUIREMENTS=serving
COPY requirements/*.py requirements/
RUN ../environment/bin/python -m requirements.sbom --lock /requirements/${REQUIREMENTS}.txt \
        --model /opt/riskline/model --out /opt/riskline/sbom.json

FROM ${BASE}
LABEL org.opencontainers.image.title="Riskline" \
      org.opencontainers.image.description="Risk scoring that a lender hosts itself" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0" \
      com.amazonaws.sagemaker.capabilities.accept-bind-to-port="true" \
      com.amazonaws.sagemaker.capabilities.multi-models="true"
# Where a volume for decisions fits; whoever the container runs as may write to one that is new
RUN mkdir -m 1777 /var/lib/riskline
# What else is written goes to /tmp, the only place that has to be writable
ENV PATH=/opt/riskline/environment/bin:$PATH \
    HOME=/tmp \
    BENTOML_HOME=/tmp/bentoml \
    BENTOML_DO_NOT_TRACK=true \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
COPY --from=environment /opt/riskline/environment /opt/riskline/environment
COPY --from=verified-model /opt/riskline/model /opt/riskline/model
COPY --from=application /opt/riskline/application /opt/riskline/application
COPY --from=sbom /opt/riskline/sbom.json /opt/riskline/sbom.json
WORKDIR /opt/riskline/application
# a number, so that Kubernetes can see that it is not root; any other user works too
USER 1000:1000
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["python", "-m", "serving.container", "health"]
# the last layer, since it differs at every commit
ARG REVISION=
LABEL org.opencontainers.image.revision="${REVISION}"
ENTRYPOINT ["python", "-m", "serving.container"]
CMD ["serve"]
