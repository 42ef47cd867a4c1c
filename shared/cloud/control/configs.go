package control

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/sqlsentinel/sqlsentinel/shared/cloud"
	"github.com/sqlsentinel/sqlsentinel/shared/sentinel"
)

// ConfigKey is the one object of the bucket that is the configuration.
const ConfigKey = "alerts.yaml"

// configSize bounds a configuration, in bytes, as on one machine.
const configSize = 32 << 20

// ErrNoConfig means that the bucket holds no configuration: it was never uploaded, or it
// was deleted. It removes nothing.
var ErrNoConfig = errors.New("there is no " + ConfigKey + " in the bucket; `sqlsentinel apply` uploads one")

// A Config is a configuration as it is stored.
type Config struct {
	Data []byte
	// Version is the object's version in S3; it grows with each upload only in time.
	Version string
	// Confirmed holds when who uploaded it said that it may remove many alerts.
	Confirmed bool
}

// confirmed is the object's metadata that says so.
const confirmed = "remove-many"

// Configs is the bucket of the configuration.
type Configs struct {
	client *s3.Client
	bucket string
}

// NewConfigs makes configs. It makes no call.
func NewConfigs(c aws.Config, bucket string) *Configs {
	return &Configs{client: s3.NewFromConfig(c, func(o *s3.Options) {
		o.BaseEndpoint = cloud.Endpoint(c, "s3")
		o.UsePathStyle = o.BaseEndpoint != nil // emulators know no host names
	}), bucket: bucket}
}

// Read reads an object of the bucket as it is now. ErrNoConfig if it is not there.
func (c *Configs) Read(ctx context.Context, key string) (Config, error) {
	answer, err := c.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &c.bucket, Key: &key})
	var missing *types.NoSuchKey
	if errors.As(err, &missing) {
		return Config{}, ErrNoConfig
	}
	if err != nil {
		return Config{}, cloud.Readable("read s3://"+c.bucket+"/"+key, err)
	}
	defer func() { _ = answer.Body.Close() }()
	if n := aws.ToInt64(answer.ContentLength); n > configSize {
		return Config{}, fmt.Errorf("s3://%s/%s has %d bytes; %d are allowed: %w", c.bucket, key, n, configSize, sentinel.ErrTooLarge)
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, configSize))
	if err != nil {
		return Config{}, cloud.Readable("read s3://"+c.bucket+"/"+key, err)
	}
	return Config{data, version(answer.VersionId, answer.ETag), answer.Metadata[confirmed] == "yes"}, nil
}

// Version is that of the object as it is now, without reading it.
func (c *Configs) Version(ctx context.Context) (string, error) {
	answer, err := c.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &c.bucket, Key: aws.String(ConfigKey)})
	var missing *types.NotFound
	if errors.As(err, &missing) {
		return "", ErrNoConfig
	}
	if err != nil {
		return "", cloud.Readable("look at s3://"+c.bucket+"/"+ConfigKey, err)
	}
	return version(answer.VersionId, answer.ETag), nil
}

// Write uploads a configuration and returns its version. With yes it may remove many alerts.
func (c *Configs) Write(ctx context.Context, data []byte, yes bool) (string, error) {
	metadata := map[string]string{}
	if yes {
		metadata[confirmed] = "yes"
	}
	answer, err := c.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &c.bucket, Key: aws.String(ConfigKey), Body: bytes.NewReader(data), ContentType: aws.String("application/yaml"), Metadata: metadata,
	})
	if err != nil {
		return "", cloud.Readable("upload to s3://"+c.bucket+"/"+ConfigKey, err)
	}
	return version(answer.VersionId, answer.ETag), nil
}

// version is the version id, or the hash of the content where the bucket keeps none.
func version(id, etag *string) string {
	if v := aws.ToString(id); v != "" && v != "null" {
		return v
	}
	return aws.ToString(etag)
}
