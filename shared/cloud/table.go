package cloud

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// openAttributes and listingAttributes are what the indexes carry beside their keys.
var (
	openAttributes    = []string{"alert", "target"}
	listingAttributes = []string{"alert", "channel", "channels", "run_id", "status", "scheduled"}
)

// CreateTable makes the table where there is no stack that does: beside an emulator, and
// for tests. A table of the same name is left as it is.
func (s *Store) CreateTable(ctx context.Context) error {
	attribute := func(name string, kind types.ScalarAttributeType) types.AttributeDefinition {
		return types.AttributeDefinition{AttributeName: &name, AttributeType: kind}
	}
	keys := func(hash, sort string) []types.KeySchemaElement {
		return []types.KeySchemaElement{{AttributeName: &hash, KeyType: types.KeyTypeHash}, {AttributeName: &sort, KeyType: types.KeyTypeRange}}
	}
	index := func(name, hash, sort string, attributes []string) types.GlobalSecondaryIndex {
		return types.GlobalSecondaryIndex{
			IndexName: &name, KeySchema: keys(hash, sort),
			Projection: &types.Projection{ProjectionType: types.ProjectionTypeInclude, NonKeyAttributes: attributes},
		}
	}
	_, err := s.db.CreateTable(ctx, &dynamodb.CreateTableInput{
		TableName: &s.table, BillingMode: types.BillingModePayPerRequest, KeySchema: keys("pk", "sk"),
		AttributeDefinitions: []types.AttributeDefinition{
			attribute("pk", types.ScalarAttributeTypeS), attribute("sk", types.ScalarAttributeTypeS), attribute("open", types.ScalarAttributeTypeS),
			attribute("look_at", types.ScalarAttributeTypeN), attribute("listed", types.ScalarAttributeTypeS), attribute("listed_at", types.ScalarAttributeTypeS),
		},
		GlobalSecondaryIndexes: []types.GlobalSecondaryIndex{
			index(openIndex, "open", "look_at", openAttributes), index(listingIndex, "listed", "listed_at", listingAttributes),
		},
	})
	var there *types.ResourceInUseException
	if err != nil && !errors.As(err, &there) {
		return Readable("create the table", err)
	}
	waiter := dynamodb.NewTableExistsWaiter(s.db)
	return Readable("create the table", waiter.Wait(ctx, &dynamodb.DescribeTableInput{TableName: aws.String(s.table)}, time.Minute))
}
